// One activity for every tool: its type is the tool's name, its input a reference. The ledger is written before and after, so that
// a later attempt knows what this one did; what the model reads goes to the store, and the engine gets an outcome.
import { activityInfo, Context } from '@temporalio/activity';
import type { Intent } from '../../store/effects.js';
import type { Store } from '../../store/index.js';
import { conversationOf } from '../../store/rows.js';
import type { Speaker } from '../../store/speaker.js';
import type { CallOutcome, CallRef } from '../../workflows/contract.js';
import { Aborted, type Aborts } from '../aborts.js';
import { asFailure, beating, thisAttempt, whileStoreIsAway } from '../attempt.js';
import { toStoredResult } from './stored-result.js';
import { failure, type Tool, type ToolContext, type ToolResult } from './tool.js';
import type { Workspace } from './workspace.js';

export interface RunToolDeps {
  store: Store;
  speaker: Speaker;
  tools: ReadonlyMap<string, Tool>;
  workspace: Workspace;
  aborts: Aborts;
  /** Names this host in the ledger: an `exec` of another one cannot be looked at from here. */
  host: string;
  /** What is longer is kept as a blob, and the model gets head, tail and a handle. */
  maxResultChars: number;
}

type Go = Extract<Intent, { kind: 'go' }>;
const renewMs = 250;

/**
 * Runs a call of any tool. Retry: `read` runs again, `idempotent` and attaching calls are taken over under the same key, a `once`
 * call is never run again (its attempt fails and `settleCall` says what is known). Fails retryably when overtaken.
 */
export function createRunTool(deps: RunToolDeps): (ref: CallRef) => Promise<CallOutcome> {
  const { store, host } = deps;
  return (ref) =>
    asFailure(() =>
      beating(async () => {
        const attempt = thisAttempt();
        // A local read has 5 s in all; everything else waits for the store.
        const patienceMs = activityInfo().isLocal ? 2_000 : 60_000;
        const intent = await whileStoreIsAway(patienceMs, () => store.effects.intend(ref, attempt, host));
        if (intent.kind === 'ended') return intent.outcome;
        const tool = deps.tools.get(intent.effect.tool);
        const key = { ...ref, token: attempt.token };
        const result = tool ? await carryOut(deps, tool, key, intent) : unknownTool(intent.effect.tool);
        const kept = toStoredResult(result, {
          tool,
          ref,
          sameCalls: intent.effect.sameCalls,
          maxChars: deps.maxResultChars,
        });
        const outcome = await whileStoreIsAway(patienceMs, () => store.effects.finish(ref, attempt.token, kept));
        deps.speaker.progress({ turn: ref.turnId, call: ref.callId, summary: '', state: outcome.outcome });
        return outcome;
      }),
    );
}

interface HeldCall extends CallRef {
  token: string;
}

async function carryOut(deps: RunToolDeps, tool: Tool, held: HeldCall, { effect, mayStart }: Go): Promise<ToolResult> {
  const { store } = deps;
  const input = tool.input.parse(effect.arguments); // validated when it was planned; a default added since is filled in
  const work = deps.aborts.take(held.turnId);
  const context: ToolContext = {
    turnId: held.turnId,
    callId: held.callId,
    key: `${held.turnId}/${held.callId}`,
    workspace: deps.workspace,
    results: { find: (handle) => store.effects.result(conversationOf(held.turnId), handle) },
    mayStart,
    signal: work.controller.signal,
    remembered: effect.memo ?? undefined,
    remember: (value) => store.effects.remember(held, held.token, value),
  };
  const timeoutMs = typeof tool.timeoutMs === 'number' ? tool.timeoutMs : tool.timeoutMs(input);
  const stops = [
    abortAfter(work.controller, timeoutMs),
    tool.effect === 'read' ? () => {} : renewing(deps, held, work.controller),
    onCancel(deps, held, tool, work.controller),
  ];
  try {
    store.crashPoint('tool.effect', 'before');
    const result = await tool.run(input, context);
    store.crashPoint('tool.effect', 'after');
    return result;
  } catch (error) {
    const { reason } = work.controller.signal;
    if (!(reason instanceof Aborted)) throw error;
    if (tool.end && (reason.cause === 'stopped' || reason.cause === 'deadline')) return await tool.end(input, context);
    if (reason.cause === 'deadline') return late(tool, timeoutMs);
    throw reason.cause === 'cancelled' || reason.cause === 'stopped' ? await cancellation(error) : error;
  } finally {
    for (const stop of stops) stop();
    work.release();
  }
}

/** What the engine expects of an attempt that ends because it was cancelled; before its request arrives, a retryable failure. */
async function cancellation(error: unknown): Promise<unknown> {
  const context = Context.current();
  if (!context.cancellationSignal.aborted) return error;
  return context.cancelled.catch((cancelled: unknown) => cancelled);
}

function abortAfter(controller: AbortController, ms: number): () => void {
  const timer = setTimeout(() => controller.abort(new Aborted('deadline')), ms);
  return () => clearTimeout(timer);
}

// The ledger's sign of life. A renewal that finds the row in other hands aborts the work.
function renewing({ store }: RunToolDeps, held: HeldCall, controller: AbortController): () => void {
  const timer = setInterval(() => {
    store.effects.renew(held, held.token).then(
      (ours) => {
        if (!ours) controller.abort(new Aborted('overtaken'));
      },
      () => {}, // the store is away: whoever looks for signs of life finds it away, too
    );
  }, renewMs);
  return () => clearInterval(timer);
}

/**
 * A cancel is not yet a stop: an attempt that was given up after a missed heartbeat gets one as well. A `read` or `idempotent` call
 * lets go; one that may not be repeated ends only when the store says so, and goes on otherwise.
 */
function onCancel({ store }: RunToolDeps, held: HeldCall, tool: Tool, controller: AbortController): () => void {
  const context = Context.current();
  let ended = false;
  const ask = async () => {
    if (tool.effect !== 'once') return controller.abort(new Aborted('cancelled'));
    while (!ended && !controller.signal.aborted) {
      const now = await store.effects.read(held).catch(() => undefined);
      if (now && (now.marked || now.turnState !== 'running' || now.state !== 'started'))
        controller.abort(new Aborted('stopped'));
      else if (now && now.token !== held.token) controller.abort(new Aborted('overtaken'));
      else await new Promise((resolve) => setTimeout(resolve, renewMs));
    }
  };
  context.cancelled.catch(() => ask().catch(() => controller.abort(new Aborted('cancelled'))));
  return () => {
    ended = true;
  };
}

function late(tool: Tool, timeoutMs: number): ToolResult {
  const text = `${tool.name} did not finish within ${Math.round(timeoutMs / 1000)} s and was ended.`;
  return tool.effect === 'once'
    ? { ...failure(`${text} It may or may not have taken effect. Check before repeating it.`), outcome: 'unknown' }
    : failure(`${text} Ask for less at once.`);
}

function unknownTool(name: string): ToolResult {
  return { ...failure(`the tool ${name} does not exist on this worker.`), outcome: 'not run' };
}
