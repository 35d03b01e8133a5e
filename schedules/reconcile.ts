// Makes the engine equal to the store: today the Schedules of durabot itself. A Schedule that somebody else made is left alone.
import {
  type Client,
  ScheduleAlreadyRunning,
  ScheduleNotFoundError,
  type ScheduleOptions,
  type ScheduleOptionsStartWorkflowAction,
  ScheduleOverlapPolicy,
} from '@temporalio/client';
import type { Workflow } from '@temporalio/common';
import { type BuiltIn, builtInSchedules } from './built-in.js';

/** Repeatable: what is there and equal is left as it is. Rejects when the engine cannot be reached. */
export async function reconcileSchedules(client: Client, taskQueue: string): Promise<void> {
  for (const wanted of builtInSchedules) await reconcileOne(client, taskQueue, wanted);
}

async function reconcileOne(client: Client, taskQueue: string, wanted: BuiltIn): Promise<void> {
  const options = toSchedule(taskQueue, wanted);
  const handle = client.schedule.getHandle(wanted.scheduleId);
  try {
    const { spec } = await handle.describe();
    if (spec.intervals?.[0]?.every === wanted.everyMs) return;
    await handle.update(() => ({ ...options, state: { paused: false } }));
  } catch (error) {
    if (!(error instanceof ScheduleNotFoundError)) throw error;
    await client.schedule.create(options).catch((created: unknown) => {
      if (!(created instanceof ScheduleAlreadyRunning)) throw created; // another process was faster
    });
  }
}

type Wanted = ScheduleOptions<ScheduleOptionsStartWorkflowAction<Workflow>>;

function toSchedule(taskQueue: string, { scheduleId, workflowType, everyMs, jitterMs }: BuiltIn): Wanted {
  return {
    scheduleId,
    spec: { intervals: [{ every: everyMs }], jitter: jitterMs },
    policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: '1 minute', pauseOnFailure: false },
    action: {
      type: 'startWorkflow',
      workflowType,
      workflowId: scheduleId,
      args: [],
      taskQueue,
      workflowRunTimeout: '5 minutes',
      workflowTaskTimeout: '1 second',
      staticSummary: 'repairs what dead processes left',
    },
  };
}
