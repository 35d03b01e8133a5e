// The one loop that answers: model, tools, model, tools, until the model asks for nothing more. Turns, jobs and subagents use it.
// It knows no limit, no pause, no provider and no tool: those are judged where a step opens, from rows.
import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  isCancellation,
  setCurrentDetails,
  TemporalFailure,
} from '@temporalio/workflow';
import { mayRun } from './approvals.js';
import { runChild } from './children.js';
import type { CallRef, PlannedCall, TurnOutcome, TurnRef } from './contract.js';
import { neighbours } from './neighbours.js';
import { callModel, closeTurn, runTool, settleCall } from './proxies.js';

/** `superseded`: another run owns the turn; this one has closed nothing. */
export async function runLoop(turn: TurnRef, modelName: string): Promise<TurnOutcome | 'superseded'> {
  try {
    for (let step = 1; ; step++) {
      setCurrentDetails(`Step ${step}: asking ${modelName}`);
      const { state, calls } = await callModel({ ...turn, step }, `${modelName}, step ${step}`); // paused, busy, provider down: we wait here
      if (state === 'stopped') return await close(turn, 'stopped');
      if (state !== 'open') return state; // closed by this step, or not ours
      setCurrentDetails(`Step ${step}: ${calls.map((call) => call.summary).join(', ')}`);
      for (const group of neighbours(calls)) await allOf(group.map((call) => runCall(turn, call)));
    }
  } catch (error) {
    if (!(error instanceof TemporalFailure)) throw error; // our bug: the task waits for a fix, the turn is not lost
    return close(turn, isCancellation(error) ? 'stopped' : 'failed', failureTypeOf(error));
  }
}

// On a stop everyone in the group is waited for: the turn closes when its tools have ended.
async function allOf(running: Promise<void>[]): Promise<void> {
  const ends = await Promise.allSettled(running);
  const failed = ends.find((end) => end.status === 'rejected');
  if (failed) throw failed.reason;
}

// The ends that no step records. A stopped run can start nothing in its own scope; a turn that is closed, or another run's, stays as it is.
function close(turn: TurnRef, outcome: 'stopped' | 'failed', reason?: string): Promise<TurnOutcome | 'superseded'> {
  return CancellationScope.nonCancellable(() => closeTurn({ ...turn, outcome, reason }));
}

// A tool or child that fails has told the model already (a child by its row, whatever became of its run). What leaves here as an
// exception is a stop or a bug.
async function runCall(turn: TurnRef, call: PlannedCall): Promise<void> {
  const ref: CallRef = { ...turn, callId: call.callId };
  try {
    if (!mayRun(call)) return;
    if (call.child) await runChild(call.child, call.summary);
    else await runTool(call, ref);
  } catch (error) {
    if (isCancellation(error) || !(error instanceof TemporalFailure)) throw error; // a local activity fails as ApplicationFailure
    await settleCall(ref); // its worker died or its attempts are used up: "did not run" or "may have happened", as the ledger says
  }
}

function failureTypeOf(error: TemporalFailure): string | undefined {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  return cause instanceof ApplicationFailure ? (cause.type ?? undefined) : undefined;
}
