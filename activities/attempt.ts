// One try at an activity: who it is, how it shows that it lives, and how what the store refuses becomes a failure of the engine.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApplicationFailure, activityInfo, Context } from '@temporalio/activity';
import { isStoreAway } from '../store/pool.js';
import { type Attempt, NotNow } from '../store/rows.js';

/** The token is new for each attempt: a worker that was given up and thaws is refused by it. */
export function thisAttempt(): Attempt {
  const { workflowExecution, attempt } = activityInfo();
  if (!workflowExecution) throw new Error('this activity belongs to a workflow');
  return {
    token: randomUUID(),
    workflowId: workflowExecution.workflowId,
    runId: workflowExecution.runId,
    number: attempt,
  };
}

// The server waits 1.5 s; the first beat comes after a quarter, so that short calls send none.
const beatMs = 225;

/** Runs `work` with a heartbeat by timer from now until it settles; local activities have none. `phase` is shown in the UI. */
export async function beating<Result>(
  work: () => Promise<Result>,
  phase: () => string = () => 'working',
): Promise<Result> {
  const context = Context.current();
  if (context.info.isLocal) return work();
  const timer = setInterval(() => context.heartbeat(phase()), beatMs);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}

/**
 * Repeats `work` while the store does not answer, for as long as `forMs`: an outage uses up no attempt, and a result in hand is not
 * given up. Only for transactions that may be repeated, which all of ours may.
 */
export async function whileStoreIsAway<Result>(forMs: number, work: () => Promise<Result>): Promise<Result> {
  const end = performance.now() + forMs;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isStoreAway(error) || performance.now() >= end) throw error;
      await sleep(250);
    }
  }
}

/** What the store refuses for now becomes a retryable failure that brings its own delay; everything else passes. */
export async function asFailure<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw toFailure(error);
  }
}

function toFailure(error: unknown): unknown {
  if (error instanceof NotNow) {
    const spread = error.type === 'Busy' ? 0.5 + Math.random() : 1;
    return ApplicationFailure.create({
      type: error.type,
      message: error.message,
      nextRetryDelay: Math.round(error.delayMs * spread),
    });
  }
  if (isStoreAway(error)) {
    return ApplicationFailure.create({
      type: 'StoreAway',
      message: 'The store does not answer',
      nextRetryDelay: '1 second',
    });
  }
  return error;
}
