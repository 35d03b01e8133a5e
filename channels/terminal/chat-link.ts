// A terminal chat's end of the line: what is typed becomes a row, under an id of its own that it keeps through all retries.
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { isStoreAway } from '../../store/pool.js';
import type { TurnSettings } from '../../store/rows.js';
import type { Accept, Accepted } from '../channel.js';

export interface ChatLink {
  /** Resolves when it is in our keeping; while the store is away it is tried again under the same id. Rejects when `signal` aborts. */
  send(text: string, command?: 'stop' | 'new'): Promise<Accepted>;
}

export interface ChatLinkOptions {
  accept: Accept;
  chat: string;
  settings(): TurnSettings;
  /** The store does not answer. Told once a message. */
  onAway(): void;
  signal: AbortSignal;
}

const againMs = 500;

export function createChatLink({ accept, chat, settings, onAway, signal }: ChatLinkOptions): ChatLink {
  let last: Promise<unknown> = Promise.resolve();

  async function trySend(text: string, command: 'stop' | 'new' | undefined, externalId: string): Promise<Accepted> {
    for (let tries = 0; ; tries++) {
      signal.throwIfAborted();
      try {
        return await accept({
          channel: 'terminal',
          account: 'local',
          chat,
          externalId,
          externalUserId: 'owner',
          text,
          settings: settings(),
          ...(command && { command }),
        });
      } catch (error) {
        if (!isStoreAway(error)) throw error;
        if (tries === 0) onAway();
        await pause(againMs, undefined, { signal });
      }
    }
  }

  return {
    send(text, command) {
      const externalId = randomUUID();
      // One after the other: what was typed first is kept first.
      const sent = last.then(() => trySend(text, command, externalId));
      last = sent.catch(() => undefined);
      return sent;
    },
  };
}
