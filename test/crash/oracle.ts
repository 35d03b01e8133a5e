// Everything outside the product in one process that is never killed: model endpoint, chat platforms, the server that tools act on.
// Each request becomes a line of the journal before it is answered.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { startModelServer } from '../support/model-server.js';
import { type Event, openJournal, type Write } from './journal.js';
import { answer, identify } from './script.js';

/** A message as a person sends it; the platform hands it over until the product has acknowledged it. */
export type Post = Omit<Extract<Event, { kind: 'posted' }>, 'kind'>;

export interface Oracle {
  modelUrl: string;
  url: string;
  close(): Promise<void>;
}

export interface OracleOptions {
  journal: string;
  /** A platform takes a message this long after it has come, and answers as long after that. */
  sendMs?: number;
}

interface Platform {
  name: string;
  /** In the order of their delivery; a message that is delivered twice stands here twice. */
  feed: Post[];
  acknowledged: number;
  visible: { id: string; chat: string; key: string }[];
  waiting: Set<() => void>;
}

export async function startOracle({ journal, sendMs = 50 }: OracleOptions): Promise<Oracle> {
  const { write, close } = openJournal(journal);
  const platforms = new Map<string, Platform>();
  const effects = createEffects(write);
  const model = await startModelServer({
    script(request) {
      // Called for the request that came last, before anything is answered.
      const number = model.requests().length;
      const identified = identify(request);
      write({ kind: 'asked', request: number, ...identified });
      model
        .waitForEnd(number)
        .then((how) => write({ kind: 'asked ended', request: number, turn: identified.turn, how }))
        .catch(() => {}); // the server was closed
      return answer(request);
    },
  });
  const platformOf = (name: string): Platform => {
    const known = platforms.get(name) ?? { name, feed: [], acknowledged: 0, visible: [], waiting: new Set() };
    platforms.set(name, known);
    return known;
  };

  const server = createServer((request, response) => {
    serve(request, response).catch(() => response.destroy());
  });

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://oracle');
    const [, first = '', second = ''] = url.pathname.split('/');
    if (first === 'effect') return effects(JSON.parse(await textOf(request)), response);
    if (first === 'post') return post(JSON.parse(await textOf(request)), response);
    if (first === 'unacknowledged') {
      const left = [...platforms.values()].map(({ feed, acknowledged }) => feed.length - acknowledged);
      return reply(response, { left: left.reduce((sum, count) => sum + count, 0) });
    }
    const platform = platformOf(first);
    if (second === 'updates') return updates(platform, url.searchParams, request, response);
    if (request.method === 'GET') return look(platform, url.searchParams, response);
    if (request.method === 'DELETE') return remove(platform, url.searchParams.get('id') ?? '', response);
    return send(platform, JSON.parse(await textOf(request)), response);
  }

  function post(message: Post, response: ServerResponse): void {
    const platform = platformOf(message.channel);
    write({ kind: 'posted', ...message });
    platform.feed.push(message);
    for (const wake of [...platform.waiting]) wake();
    reply(response, {});
  }

  // As chat platforms do it: asking for what comes after an update is what acknowledges it.
  async function updates(
    platform: Platform,
    query: URLSearchParams,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const after = Number(query.get('after'));
    if (after > platform.acknowledged) {
      const numbers = platform.feed.slice(platform.acknowledged, after).map(({ number }) => number);
      platform.acknowledged = after;
      write({ kind: 'acknowledged', channel: platform.name, numbers });
    }
    if (query.get('wait') === 'true' && platform.feed.length === platform.acknowledged)
      await somethingNew(platform, request);
    const from = platform.acknowledged;
    const fresh = platform.feed.slice(from, from + 20).map((message, index) => ({ update: from + index + 1, message }));
    if (fresh.length > 0)
      write({ kind: 'delivered', channel: platform.name, numbers: fresh.map(({ message }) => message.number) });
    reply(response, { updates: fresh });
  }

  function somethingNew(platform: Platform, request: IncomingMessage): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        platform.waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, 20_000);
      platform.waiting.add(wake);
      request.socket.once('close', wake);
    });
  }

  async function send(
    platform: Platform,
    { chat, text, key, repeat }: { chat: string; text: string; key: string; repeat: boolean },
    response: ServerResponse,
  ): Promise<void> {
    await sleep(sendMs); // what has left the sender arrives, whether or not the sender still lives
    const id = `${platform.name}-${platform.visible.length + 1}`;
    platform.visible.push({ id, chat, key });
    write({ kind: 'sent', id, channel: platform.name, chat, key, text, repeat });
    await sleep(sendMs);
    reply(response, { id });
  }

  function look(platform: Platform, query: URLSearchParams, response: ServerResponse): void {
    const [chat, key] = [query.get('chat') ?? '', query.get('key') ?? ''];
    const found = platform.visible.find((message) => message.key === key && message.chat === chat);
    write({ kind: 'looked', chat, key, found: found !== undefined });
    reply(response, { found: found ? { id: found.id } : null });
  }

  function remove(platform: Platform, id: string, response: ServerResponse): void {
    const message = platform.visible.find((candidate) => candidate.id === id);
    if (message) message.key = ''; // its number in the list stays taken
    write({ kind: 'removed', id });
    reply(response, {});
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    modelUrl: model.baseUrl,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections();
      await Promise.all([model.close(), new Promise((resolve) => server.close(resolve))]);
      close();
    },
  };
}

/** What tools act on. An equal key is folded where the tool says that its receiver does that: then nothing happens a second time. */
function createEffects(write: Write) {
  let count = 0;
  const done = new Map<string, string>();
  return async (
    { tool, key, name, ms }: { tool: string; key: string; name: string; ms: number },
    response: ServerResponse,
  ): Promise<void> => {
    const id = ++count;
    response.once('close', () =>
      write({ kind: 'effect ended', id, name, how: response.writableFinished ? 'answered' : 'aborted' }),
    );
    await sleep(ms / 2);
    const earlier = tool === 'put' ? done.get(key) : undefined;
    const text = earlier ?? `${tool} ${name} is done, receipt ${id}`;
    done.set(key, text);
    write({ kind: 'effect', id, tool, key, name, text, folded: earlier !== undefined });
    await sleep(ms / 2);
    reply(response, { text });
  };
}

function reply(response: ServerResponse, body: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
