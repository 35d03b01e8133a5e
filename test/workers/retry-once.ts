// Workflow code for exact-timers.stack.test.ts: an activity that fails once, so that its end tells the pause of a retry.
import { proxyActivities } from '@temporalio/workflow';

interface FailsOnce {
  failOnce(): Promise<void>;
}

export async function retryOnce(initialInterval: string): Promise<void> {
  const { failOnce } = proxyActivities<FailsOnce>({
    startToCloseTimeout: '30 seconds',
    retry: { initialInterval, backoffCoefficient: 1 },
  });
  await failOnce();
}
