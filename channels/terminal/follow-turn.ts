// Follows one accepted message until its turn has ended: pieces of text and calls as they come, and the rows for what was missed.
import type { Store } from '../../store/index.js';
import type { Listener } from '../../store/listener.js';
import { isStoreAway } from '../../store/pool.js';
import { isOpen } from '../../store/rows.js';
import { type ConversationWatcher, hearInOrder } from './follow-conversation.js';

export interface TurnWatcher extends Partial<Pick<ConversationWatcher, 'text' | 'call' | 'queued'>> {
  /** The message belongs to this turn. */
  begun?(turnId: string): void;
}

export interface FollowDeps {
  store: Store;
  listener: Listener;
}

const lookMs = 250;
const queuedAfterMs = 5_000;

/** Resolves with the turn's id once the turn is closed. Rejects with the signal's reason when that aborts. */
export async function followTurn(
  { store, listener }: FollowDeps,
  message: { inboxId: string; turnId: string | null },
  watcher: TurnWatcher,
  signal: AbortSignal,
): Promise<string> {
  let turnId = message.turnId;
  let wake = () => {};
  const hear = hearInOrder(watcher);
  const offs = [
    listener.on('delta', (word) => word.turn === turnId && hear({ kind: 'delta', word })),
    listener.on('progress', (word) => word.turn === turnId && hear({ kind: 'progress', word })),
    listener.on('turn', () => wake()),
  ];
  const stop = () => wake();
  signal.addEventListener('abort', stop);
  const startedAt = performance.now();
  let toldQueued = false;

  async function look(): Promise<string | undefined> {
    if (!turnId) {
      turnId = await store.turns.ofMessage(message.inboxId);
      if (!turnId) return undefined;
      watcher.begun?.(turnId);
    }
    const turn = await store.turns.find(turnId);
    if (!turn) throw new Error('The conversation was deleted while its answer was awaited');
    if (turn.state === 'claimed' && !toldQueued && performance.now() - startedAt > queuedAfterMs) {
      toldQueued = true;
      watcher.queued?.();
    }
    return isOpen(turn.state) ? undefined : turnId;
  }

  try {
    if (turnId) watcher.begun?.(turnId);
    for (;;) {
      signal.throwIfAborted();
      const woken = new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, lookMs);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      const ended = await look().catch((error: unknown) => {
        if (!isStoreAway(error)) throw error;
        return undefined; // it comes back, or the person leaves
      });
      if (ended) return ended;
      await woken;
    }
  } finally {
    for (const off of offs) off();
    signal.removeEventListener('abort', stop);
  }
}
