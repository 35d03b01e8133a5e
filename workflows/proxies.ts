// Every activity's timeouts, attempts and behaviour on a cancel, in full: an unset cancellationType acts as TRY_CANCEL, whatever its
// documentation says, and a turn would close while its tool still runs. Waiting is failing retryably, so the policies' own interval
// is short and what an activity throws brings its own delay.
import {
  ActivityCancellationType,
  type ActivityOptions,
  type LocalActivityOptions,
  proxyActivities,
  proxyLocalActivities,
} from '@temporalio/workflow';
import type { Activities } from '../activities/index.js';
import type { CallOutcome, CallRef, PlannedCall, StepRef, StepResult } from './contract.js';

const { WAIT_CANCELLATION_COMPLETED, TRY_CANCEL, ABANDON } = ActivityCancellationType;
const soon = { initialInterval: '100 ms', backoffCoefficient: 1 } as const;
/** Noticed by the server this long after a worker died. */
const heartbeatTimeout = '1500 ms';
/** The store may be away for a minute before a call and for one after it, without using up an attempt. */
const storeAwayMs = 130_000;

type Tools = Record<string, (ref: CallRef) => Promise<CallOutcome>>;

/** In the line for 60 s, then a stream of 600 s, then recording for 60 s. Unlimited attempts: a paused turn and an outage wait here. */
const modelOptions: ActivityOptions = {
  startToCloseTimeout: '12 minutes',
  heartbeatTimeout,
  retry: soon,
  cancellationType: WAIT_CANCELLATION_COMPLETED,
};
const modelActivities = proxyActivities<Pick<Activities, 'callModel'>>(modelOptions);

/** Takes one step of a turn. A recorded step is returned as it is. */
export function callModel(ref: StepRef, summary: string): Promise<StepResult> {
  return modelActivities.callModel.executeWithOptions({ ...modelOptions, summary }, [ref]);
}

const toolOptions: Record<'read' | 'idempotent' | 'once' | 'attaches', ActivityOptions> = {
  read: { retry: { ...soon, backoffCoefficient: 2, maximumInterval: '10 seconds', maximumAttempts: 3 } },
  idempotent: { retry: { ...soon, backoffCoefficient: 2, maximumInterval: '10 seconds', maximumAttempts: 3 } },
  once: { retry: { ...soon, maximumAttempts: 1 } },
  attaches: { retry: { ...soon, maximumAttempts: 20 } },
};

const localOptions: LocalActivityOptions = {
  startToCloseTimeout: '6 seconds',
  scheduleToCloseTimeout: '20 seconds',
  retry: { ...soon, maximumAttempts: 3 },
  cancellationType: WAIT_CANCELLATION_COMPLETED,
};

/** Runs a call; its activity type is the tool's name. What comes back is an outcome: the model reads the result from the store. */
export function runTool(
  { tool, effect, attaches, local, timeoutMs, summary }: PlannedCall,
  ref: CallRef,
): Promise<CallOutcome> {
  if (local) return toolNamed(proxyLocalActivities<Tools>({ ...localOptions, summary }), tool)(ref);
  const options: ActivityOptions = {
    startToCloseTimeout: timeoutMs + storeAwayMs,
    heartbeatTimeout,
    cancellationType: WAIT_CANCELLATION_COMPLETED,
    ...toolOptions[attaches ? 'attaches' : effect],
    summary,
  };
  return toolNamed(proxyActivities<Tools>(options), tool)(ref);
}

function toolNamed(tools: Tools, name: string): (ref: CallRef) => Promise<CallOutcome> {
  const tool = tools[name]; // a proxy answers to every name
  if (!tool) throw new Error(`no activity for the tool ${name}`);
  return tool;
}

/** Judges what became of a call whose attempts are gone. In the turn's own scope: a stop does not wait for it. */
export const { settleCall } = proxyActivities<Pick<Activities, 'settleCall'>>({
  startToCloseTimeout: '10 seconds',
  scheduleToCloseTimeout: '24 hours',
  retry: soon,
  cancellationType: ABANDON,
});

/** Ends a turn that no step has ended. Call it in a non-cancellable scope. */
export const { closeTurn } = proxyActivities<Pick<Activities, 'closeTurn'>>({
  startToCloseTimeout: '10 seconds',
  scheduleToCloseTimeout: '24 hours',
  retry: soon,
  cancellationType: ABANDON,
});

/** A turn's last activity: sends what is due at its destination for at most 60 s. Call it in a non-cancellable scope. */
export const { deliver } = proxyActivities<Pick<Activities, 'deliver'>>({
  startToCloseTimeout: '2 minutes',
  heartbeatTimeout,
  retry: soon,
  cancellationType: ABANDON,
});

/** The same for the workflow `delivery`, which may be cancelled: a row's own age decides when it is given up. */
export const { deliver: deliverAll } = proxyActivities<Pick<Activities, 'deliver'>>({
  startToCloseTimeout: '2 minutes',
  heartbeatTimeout,
  retry: soon,
  cancellationType: TRY_CANCEL,
});

/** Waits for the row of a child, however its run has ended. */
export const { awaitSubagent } = proxyActivities<Pick<Activities, 'awaitSubagent'>>({
  startToCloseTimeout: '30 hours',
  heartbeatTimeout,
  retry: { ...soon, backoffCoefficient: 2, maximumInterval: '10 seconds' },
  cancellationType: WAIT_CANCELLATION_COMPLETED,
});

/** The retry is the next sweep: the start of a process, a reconnect, or ten minutes later. */
export const { sweep } = proxyActivities<Pick<Activities, 'sweep'>>({
  startToCloseTimeout: '60 seconds',
  heartbeatTimeout: '10 seconds',
  retry: { maximumAttempts: 1 },
  cancellationType: TRY_CANCEL,
});

export const { reconcile } = proxyActivities<Pick<Activities, 'reconcile'>>({
  startToCloseTimeout: '5 minutes',
  heartbeatTimeout: '10 seconds',
  retry: { initialInterval: '1 second', backoffCoefficient: 1 },
  cancellationType: TRY_CANCEL,
});
