// What a kill test adds to the product: a channel to the oracle's platforms, and tools that act on the oracle's server.
import { z } from 'zod';
import type { Tool, ToolResult } from '../../activities/tools/tool.js';
import type { Accept, Channel, Incoming } from '../../channels/channel.js';
import type { CrashPoint } from '../../store/crash-points.js';
import { platformChannel } from '../support/platform.js';
import type { Post } from './oracle.js';

interface Update {
  update: number;
  message: Post;
}

export interface OracleChannelOptions {
  url: string;
  name: string;
  canLook: boolean;
  crashPoint: CrashPoint;
  /** A broken build: the platform hears that we have it before we do. */
  acknowledgesFirst?: boolean;
}

/** Sends as the support platform's channel does; receives by asking for updates, where the next question acknowledges the last answer. */
export function oracleChannel({
  url,
  name,
  canLook,
  crashPoint,
  acknowledgesFirst = false,
}: OracleChannelOptions): Channel {
  const ended = new AbortController();
  const ask = async (after: number, wait: boolean): Promise<Update[]> => {
    const query = new URLSearchParams({ after: String(after), wait: String(wait) });
    const response = await fetch(`${url}/${name}/updates?${query}`, { signal: ended.signal });
    return ((await response.json()) as { updates: Update[] }).updates;
  };
  async function takeNext(accept: Accept): Promise<void> {
    const updates = await ask(0, true);
    const last = updates.at(-1)?.update;
    if (last === undefined) return;
    if (acknowledgesFirst) await ask(last, false);
    for (const { message } of updates) await accept(toIncoming(message));
    await ask(last, false); // until all of these are in our keeping, the platform hears of none
    crashPoint('intake.acknowledge', 'after');
  }
  async function receive(accept: Accept): Promise<void> {
    while (!ended.signal.aborted) {
      await takeNext(accept).catch(() => new Promise((resolve) => setTimeout(resolve, 100))); // it will come again
    }
  }
  return {
    ...platformChannel(`${url}/${name}`, { name, canLook }),
    async start(accept) {
      receive(accept).catch(() => {}); // it ends with its process
    },
    stop: async () => ended.abort(),
  };
}

function toIncoming({ number, channel, chat, from, text, command }: Post): Incoming {
  return { channel, account: 'bot', chat, externalId: `m${number}`, externalUserId: from, text, command };
}

const input = z.object({ name: z.string(), ms: z.number() });

/** One of each class; the receiver of `put` folds equal keys. */
export function effectTools(url: string, { mailIsIdempotent = false } = {}): Tool[] {
  const tool = (name: string, changes: Partial<Tool<z.infer<typeof input>>>): Tool => {
    const made: Tool<z.infer<typeof input>> = {
      name,
      description: `Does ${name}.`,
      input,
      effect: 'read',
      defaultPolicy: 'allow',
      timeoutMs: 30_000,
      summary: (call) => `${name} ${call.name}`,
      async run(call, { key, signal }): Promise<ToolResult> {
        const body = JSON.stringify({ tool: name, key, ...call });
        const response = await fetch(`${url}/effect`, { method: 'POST', body, signal });
        return { text: ((await response.json()) as { text: string }).text, failed: false };
      },
      ...changes,
    };
    return made as Tool;
  };
  return [
    tool('look', { local: true, timeoutMs: 5_000 }),
    tool('fetch', {}),
    tool('put', { effect: 'idempotent' }),
    tool('mail', { effect: mailIsIdempotent ? 'idempotent' : 'once' }),
  ];
}
