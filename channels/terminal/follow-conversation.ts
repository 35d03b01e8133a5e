// Shows a conversation as it goes on: each turn of it, whoever began it, from a message here, a subagent's result or another process.
// Words that other processes say may get lost, so they only make it livelier: what has happened is read from the rows.
import type { Store } from '../../store/index.js';
import type { Delta, Listener, Progress } from '../../store/listener.js';
import type { CallLine, TurnLine, TurnReport } from '../../store/overview.js';
import { isStoreAway } from '../../store/pool.js';
import { isOpen } from '../../store/rows.js';

export interface ConversationWatcher {
  /** A turn goes on from here. Its calls so far: more than none when it began before we looked. */
  turnBegan(turnId: string, calls: readonly CallLine[]): void;
  /** A piece of text. `from`: how many characters of this step come before it. `anew`: what was shown of this step is void. */
  text(piece: { step: number; from: number; text: string; anew: boolean }): void;
  /** A call was planned, or has ended: `done`, `failed`, `unknown`, `not run`. */
  call(call: { callId: string; summary: string; state: string }): void;
  /** All calls of the turn as the rows show them: what was not heard. */
  calls(calls: readonly CallLine[]): void;
  turnEnded(report: TurnReport): void;
  /** A message that had to wait belongs to a turn now. `joined`: to the one that ran already. */
  attached(joined: boolean): void;
  /** Nothing has taken the turn up for five seconds. Told once a turn. */
  queued(): void;
}

export interface ConversationFollower {
  /** A message was accepted that waits for its turn. */
  expect(inboxId: string): void;
  /** The turn that is shown now. */
  current(): string | undefined;
  /** Looks now instead of in a moment. */
  look(): void;
  /** Resolves when it has stopped. */
  close(): Promise<void>;
}

export interface FollowOptions {
  store: Store;
  listener: Listener;
  conversationId: string;
  /** Turns up to this number are not shown. */
  afterSeq: number;
  watcher: ConversationWatcher;
  onError(message: string, error: unknown): void;
}

const lookMs = 250;
const queuedAfterMs = 5_000;
const mostEarlyWords = 2_000;

type Word = { kind: 'delta'; word: Delta } | { kind: 'progress'; word: Progress };

export function followConversation(options: FollowOptions): ConversationFollower {
  const { store, listener, conversationId, watcher, onError } = options;
  let lastSeq = options.afterSeq;
  let shown: { turnId: string; since: number; toldQueued: boolean; hear: (word: Word) => void } | undefined;
  const waiting = new Map<string, string | undefined>(); // a message, and the turn that ran when it came
  let early: Word[] = []; // words of a turn whose row we have not seen yet
  let closed = false;
  let wake = () => {};

  const take = (word: Word) => {
    const { turn } = word.word;
    if (turn === shown?.turnId) shown.hear(word);
    else if (turn.startsWith(`${conversationId}-`) && early.length < mostEarlyWords) {
      early.push(word);
      wake();
    }
  };
  const offs = [
    listener.on('delta', (word) => take({ kind: 'delta', word })),
    listener.on('progress', (word) => take({ kind: 'progress', word })),
    listener.on('turn', (turnId) => turnId.startsWith(`${conversationId}-`) && wake()),
  ];

  async function begin({ turnId, seq }: TurnLine): Promise<void> {
    const calls = await store.overview.calls(turnId);
    lastSeq = seq;
    watcher.turnBegan(turnId, calls);
    shown = { turnId, since: performance.now(), toldQueued: false, hear: hearInOrder(watcher) };
    for (const word of early) if (word.word.turn === turnId) shown.hear(word);
    early = [];
  }

  async function lookOnce(): Promise<void> {
    for (const [inboxId, ranThen] of waiting) {
      const turnId = await store.turns.ofMessage(inboxId);
      if (!turnId) continue;
      waiting.delete(inboxId);
      watcher.attached(turnId === ranThen);
    }
    for (;;) {
      if (!shown) {
        const [next] = await store.overview.turnsAfter(conversationId, lastSeq);
        if (!next) return;
        await begin(next);
      }
      const report = shown && (await store.overview.report(shown.turnId));
      if (!report || !shown) return;
      watcher.calls(await store.overview.calls(report.turnId));
      if (isOpen(report.state)) {
        const late = report.state === 'claimed' && performance.now() - shown.since > queuedAfterMs;
        if (late && !shown.toldQueued) {
          shown.toldQueued = true;
          watcher.queued();
        }
        return;
      }
      shown = undefined;
      watcher.turnEnded(report);
    }
  }

  async function run(): Promise<void> {
    while (!closed) {
      const woken = new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, lookMs);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      await lookOnce().catch((error: unknown) => {
        if (!isStoreAway(error)) onError('The conversation could not be read', error);
      });
      if (!closed) await woken;
    }
  }

  const running = run();
  return {
    expect: (inboxId) => {
      waiting.set(inboxId, shown?.turnId);
      wake();
    },
    current: () => shown?.turnId,
    look: () => wake(),
    async close() {
      closed = true;
      wake();
      for (const off of offs) off();
      await running;
    },
  };
}

/** Passes on what is new: pieces of overtaken attempts are dropped, and a new attempt of the same step begins it anew. */
export function hearInOrder(watcher: Partial<Pick<ConversationWatcher, 'text' | 'call'>>): (word: Word) => void {
  let step = 0;
  let attempt = 0;
  let length = 0;
  const summaries = new Map<string, string>();
  return ({ kind, word }) => {
    if (kind === 'progress') {
      if (word.summary) summaries.set(word.call, word.summary);
      watcher.call?.({ callId: word.call, summary: summaries.get(word.call) ?? '', state: word.state });
      return;
    }
    const older = word.step < step || (word.step === step && word.attempt < attempt);
    if (older) return;
    const anew = word.step === step && word.attempt > attempt;
    if (word.step !== step || anew) length = 0;
    step = word.step;
    attempt = word.attempt;
    if (word.offset < length) return;
    length = word.offset + word.text.length;
    watcher.text?.({ step, from: word.offset, text: word.text, anew });
  };
}
