// The workflow `turn` with another order of commands: a recorded run must not replay on it.
import { proxyActivities, sleep } from '@temporalio/workflow';

const { callModel } = proxyActivities<{ callModel(input: unknown): Promise<unknown> }>({
  startToCloseTimeout: '1 minute',
});

export async function turn(input: unknown): Promise<void> {
  await sleep('1 second');
  await callModel(input);
}
