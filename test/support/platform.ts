// A chat platform on loopback, and the channel that speaks to it: sends may be refused, delayed, or taken while their answer is lost.
// It decides what is visible: a message counts from the moment it is taken, also when its answer never arrives.
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Channel, NotSent, type Receipt } from '../../channels/channel.js';

export interface Visible {
  id: string;
  chat: string;
  text: string;
  key: string;
  repeat: boolean;
}

export type Treatment =
  | 'take'
  | 'lose the answer'
  | 'hang after taking'
  | 'refuse for now'
  | 'refuse for good'
  | 'drop before taking';

export interface Platform {
  url: string;
  /** What a person sees now, oldest first. */
  visible(chat?: string): Visible[];
  /** Each send so far, also the refused ones. */
  sends: number;
  /** How the next sends are treated, one after the other; afterwards they are taken. */
  next(...treatments: Treatment[]): void;
  /** Resolves when `count` messages are visible in a chat. */
  waitFor(chat: string, count: number): Promise<Visible[]>;
  close(): Promise<void>;
}

export async function startPlatform(): Promise<Platform> {
  const messages: Visible[] = [];
  const treatments: Treatment[] = [];
  const watchers = new Set<() => void>();
  const platform: Platform = {
    url: '',
    sends: 0,
    visible: (chat) => messages.filter((message) => chat === undefined || message.chat === chat),
    next: (...more) => {
      treatments.push(...more);
    },
    async waitFor(chat, count) {
      while (platform.visible(chat).length < count) {
        await new Promise<void>((resolve) => {
          const look = () => {
            watchers.delete(look);
            resolve();
          };
          watchers.add(look);
        });
      }
      return platform.visible(chat);
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };

  const server = createServer((request, response) => {
    serve(request, response).catch(() => response.destroy());
  });

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://platform');
    if (request.method === 'GET') {
      const found = messages.find(
        ({ key, chat }) => key === url.searchParams.get('key') && chat === url.searchParams.get('chat'),
      );
      return answer(response, 200, { found: found ? { id: found.id } : null });
    }
    if (request.method === 'DELETE') {
      const at = messages.findIndex(({ id }) => id === url.searchParams.get('id'));
      if (at >= 0) messages.splice(at, 1);
      return answer(response, 200, {});
    }
    platform.sends++;
    const treatment = treatments.shift() ?? 'take';
    if (treatment === 'drop before taking') return void request.socket.destroy();
    if (treatment === 'refuse for now') return answer(response, 429, { retryAfterMs: 50 });
    if (treatment === 'refuse for good') return answer(response, 403, {});
    const body = JSON.parse(await textOf(request)) as Omit<Visible, 'id'>;
    const message = { id: randomUUID(), ...body };
    messages.push(message);
    for (const look of [...watchers]) look();
    if (treatment === 'lose the answer') return void request.socket.destroy();
    if (treatment === 'hang after taking') return;
    answer(response, 200, { id: message.id });
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  platform.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return platform;
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

/** `canLook` false: like a platform that lets nobody search. */
export function platformChannel(
  url: string,
  { name = 'fake', canLook = true, whenUnknown = 'prefer duplicate' as Channel['whenUnknown'] } = {},
): Channel {
  const call = async (
    method: string,
    query: Record<string, string>,
    body?: unknown,
    signal?: AbortSignal,
  ): Promise<Response> =>
    fetch(`${url}/?${new URLSearchParams(query)}`, {
      method,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
    });
  return {
    name,
    limits: { maxChars: 1_000 },
    whenUnknown,
    start: async () => {},
    stop: async () => {},
    async send({ chat }, { text, key, repeat }, signal): Promise<Receipt> {
      const response = await call('POST', {}, { chat, text, key, repeat }, signal);
      if (response.status === 429) throw new NotSent('too many messages', { retryAfterMs: 50, channelDown: true });
      if (response.status === 403) throw new NotSent('the bot was blocked', { permanent: true });
      if (!response.ok) throw new Error(`status ${response.status}`);
      return (await response.json()) as Receipt;
    },
    async remove(_destination, receipt) {
      await call('DELETE', { id: String(receipt.id) });
    },
    ...(canLook && {
      async find({ chat }: { chat: string }, key: string): Promise<Receipt | undefined> {
        const { found } = (await (await call('GET', { chat, key })).json()) as { found: Receipt | null };
        return found ?? undefined;
      },
    }),
  };
}
