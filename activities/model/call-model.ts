// One step of a turn: open it in the store, ask the model, record the answer. Only the attempt that opened last may record, and a
// recorded step is returned as it is, so an answer in the store is never bought twice.
import { ApplicationFailure, activityInfo, Context } from '@temporalio/activity';
import type { Store } from '../../store/index.js';
import { type Attempt, NotNow } from '../../store/rows.js';
import type { Speaker } from '../../store/speaker.js';
import type { OpenedStep, StepRecord } from '../../store/transcript.js';
import type { Engine, StepRef, StepResult } from '../../workflows/contract.js';
import { Aborted, type Aborts } from '../aborts.js';
import { asFailure, beating, thisAttempt, whileStoreIsAway } from '../attempt.js';
import type { Requests } from '../requests.js';
import { startClaimed } from '../turns/start-claimed.js';
import type { AskStep } from './ask-step.js';
import { toModelFailure } from './failures.js';

export interface CallModelDeps {
  store: Store;
  speaker: Speaker;
  engine: Engine;
  aborts: Aborts;
  requests: Requests;
  askStep: AskStep;
  /** The one word to the person when a provider has not answered for five minutes. */
  outageNotice(turnId: string): string;
  onError(message: string, error: unknown): void;
}

type Open = Extract<OpenedStep, { kind: 'open' }>;

const toldAfterMs = 5 * 60_000;

/**
 * Takes one step of a turn. Retry: a recorded step is returned as it is; an unfinished one is asked again and its stream starts over.
 * Fails retryably while it must wait (`Paused`, `Busy`, a provider that cannot answer) and when a later attempt has overtaken it.
 */
export function createCallModel(deps: CallModelDeps): (ref: StepRef) => Promise<StepResult> {
  const { store, requests } = deps;
  return (ref) => {
    let phase = 'in line';
    return asFailure(() =>
      beating(
        async () => {
          const { cancellationSignal: signal, info } = Context.current();
          // A job's or subagent's model call never holds up a chat.
          const rank = info.workflowType === 'turn' ? 'chat' : 'background';
          const result = await requests.inTurn(rank, signal, async () => {
            if (ref.step === 1 && activityInfo().workflowType === 'subagent')
              store.crashPoint('subagent.start', 'after');
            const attempt = thisAttempt(); // who opened the step last may record it
            const opened = await store.transcript.openStep({ ...ref, attempt });
            if (opened.kind === 'settled') return opened;
            phase = 'asking the model';
            const record = await ask(deps, ref, attempt, opened);
            phase = 'recording';
            // An answer in hand is not given up: the store may be away for a minute.
            return whileStoreIsAway(60_000, () => store.transcript.recordStep(record));
          });
          // The loop starts a child with its answer to the engine, and the child's first activity is the first to know that it began.
          if (result.result.calls.some(({ child }) => child)) store.crashPoint('subagent.start', 'before');
          await startClaimed(deps, result.claimed);
          for (const { callId: call, summary, decision } of result.result.calls) {
            deps.speaker.progress({
              turn: ref.turnId,
              call,
              summary,
              state: decision === 'allow' ? 'planned' : 'not run',
            });
          }
          return result.result;
        },
        () => phase,
      ),
    );
  };
}

async function ask(deps: CallModelDeps, ref: StepRef, attempt: Attempt, opened: Open): Promise<StepRecord> {
  const context = Context.current();
  const work = deps.aborts.take(ref.turnId);
  const cancel = () => work.controller.abort(new Aborted('cancelled'));
  context.cancellationSignal.addEventListener('abort', cancel, { once: true });
  if (context.cancellationSignal.aborted) cancel();
  const pieces = sayInPieces(deps, ref, attempt);
  try {
    const answer = await deps.askStep(opened, { step: ref.step, signal: work.controller.signal, onText: pieces.add });
    return { ...ref, attempt, ...answer };
  } catch (error) {
    if (work.controller.signal.aborted) throw await asStopped(error);
    if (error instanceof NotNow || error instanceof ApplicationFailure) throw error;
    throw await countedFailure(deps, ref, attempt, opened, error);
  } finally {
    pieces.end(); // before anything is said of the calls that follow
    context.cancellationSignal.removeEventListener('abort', cancel);
    work.release();
  }
}

/**
 * A stop aborts before the engine's own cancel arrives. Failing retryably for that moment, the next attempt finds the mark; once the
 * cancel is here, it is what the engine expects.
 */
async function asStopped(error: unknown): Promise<unknown> {
  const context = Context.current();
  if (context.cancellationSignal.aborted) return context.cancelled.catch((cancelled: unknown) => cancelled);
  return ApplicationFailure.create({
    type: 'Stopped',
    message: 'The turn was stopped',
    nextRetryDelay: '100 ms',
    cause: error instanceof Error ? error : undefined,
  });
}

/** The turn's row holds the outage, so that a pause or a restart does not count as one. After five minutes the person is told once. */
async function countedFailure(
  deps: CallModelDeps,
  ref: StepRef,
  attempt: Attempt,
  { outage, turn }: Open,
  error: unknown,
): Promise<ApplicationFailure> {
  const failure = toModelFailure(error, outage);
  if (failure.nonRetryable) return failure;
  const delayMs = typeof failure.nextRetryDelay === 'number' ? failure.nextRetryDelay : 1_000;
  try {
    const now = await deps.store.transcript.noteOutage(ref.turnId, attempt, delayMs);
    if (now.lastsMs > toldAfterMs) {
      const { rootTurnId } = turn; // a subagent's conversation is nobody's to read
      const [name, text] = [`outage-s${ref.step}`, deps.outageNotice(rootTurnId)];
      const notice = await deps.store.outbox.notice(rootTurnId, name, text);
      if (notice?.fresh) deps.speaker.progress({ turn: rootTurnId, call: name, summary: text, state: 'notice' });
      if (notice?.toSend) await deps.engine.wakeDelivery(notice.destination);
    }
  } catch (storeError) {
    deps.onError('An outage was not counted', storeError);
  }
  return failure;
}

const pieceMs = 20;
// PostgreSQL refuses payloads of 8,000 bytes, and a character may take six of them.
const pieceChars = 1_000;

/** The first piece at once, later ones batched. Offsets count characters, so that a listener can tell what it has. */
function sayInPieces(
  { speaker, store }: CallModelDeps,
  { turnId, step }: StepRef,
  attempt: Attempt,
): { add(text: string): void; end(): void } {
  let offset = 0;
  let waiting = '';
  let timer: NodeJS.Timeout | undefined;
  const say = () => {
    timer = undefined;
    while (waiting) {
      const text = waiting.slice(0, pieceChars);
      waiting = waiting.slice(pieceChars);
      speaker.delta({ turn: turnId, step, attempt: attempt.number, offset, text });
      offset += text.length;
    }
  };
  return {
    add(text) {
      const first = offset === 0 && !waiting;
      waiting += text;
      if (first) {
        store.crashPoint('model.first-token', 'before');
        say();
        store.crashPoint('model.first-token', 'after');
      } else timer ??= setTimeout(say, pieceMs);
    },
    end() {
      clearTimeout(timer);
      say();
    },
  };
}
