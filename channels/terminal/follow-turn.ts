// Follows an accepted message until its turn has ended: pieces of text and calls as they come, and the rows for what was missed.
// Words of other processes may get lost, so nothing is concluded from them: the turn has ended when its row says so.
import type { Store } from '../../store/index.js';
import type { Delta, Listener, Progress } from '../../store/listener.js';
import { isStoreAway } from '../../store/pool.js';
import { isOpen } from '../../store/rows.js';

export interface TurnWatcher {
  /** The message belongs to this turn. */
  begun?(turnId: string): void;
  /** Nothing has taken the turn up for five seconds; it is kept. Told once. */
  queued?(): void;
  /** A piece of text. `from`: how many characters of this step come before it. `anew`: what was shown of this step is void. */
  text?(piece: { step: number; from: number; text: string; anew: boolean }): void;
  /** A call was planned, or has ended: `done`, `failed`, `unknown`, `not run`. */
  call?(call: { callId: string; summary: string; state: string }): void;
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
  const offs = [
    listener.on('delta', (delta) => delta.turn === turnId && hear(delta)),
    listener.on('progress', (progress) => progress.turn === turnId && see(progress)),
    listener.on('turn', () => wake()),
  ];
  const stop = () => wake();
  signal.addEventListener('abort', stop);

  let step = 0;
  let attempt = 0;
  let length = 0;
  function hear(delta: Delta): void {
    if (delta.step < step || (delta.step === step && delta.attempt < attempt)) return; // of an attempt that was overtaken
    const anew = delta.step === step && delta.attempt > attempt;
    if (delta.step !== step || anew) length = 0;
    step = delta.step;
    attempt = delta.attempt;
    if (delta.offset < length) return;
    length = delta.offset + delta.text.length;
    watcher.text?.({ step, from: delta.offset, text: delta.text, anew });
  }

  const summaries = new Map<string, string>();
  function see({ call, summary, state }: Progress): void {
    if (summary) summaries.set(call, summary);
    watcher.call?.({ callId: call, summary: summaries.get(call) ?? '', state });
  }

  const startedAt = performance.now();
  let toldQueued = false;
  try {
    if (turnId) watcher.begun?.(turnId);
    for (;;) {
      signal.throwIfAborted();
      const woken = new Promise<void>((resolve) => {
        wake = resolve;
        setTimeout(resolve, lookMs);
      });
      const closed = await look().catch((error: unknown) => {
        if (!isStoreAway(error)) throw error;
        return undefined; // it comes back, or the person leaves
      });
      if (closed) return closed;
      await woken;
    }
  } finally {
    for (const off of offs) off();
    signal.removeEventListener('abort', stop);
  }

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
}
