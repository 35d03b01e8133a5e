// The floor: a bare workflow with as many activities as a turn of k calls has, on the same server, options and payload sizes, doing
// nothing. What a turn takes beyond it is ours.
import { proxyActivities } from '@temporalio/workflow';

type NoOp = (input: { turnId: string; step?: number; callId?: string }) => Promise<unknown>;

const { callModel, tool, deliver } = proxyActivities<{ callModel: NoOp; tool: NoOp; deliver: NoOp }>({
  startToCloseTimeout: '12 minutes',
  heartbeatTimeout: '1500 ms',
  retry: { initialInterval: '100 ms', backoffCoefficient: 1 },
  cancellationType: 'WAIT_CANCELLATION_COMPLETED',
});

/** k tool calls, one by one: k + 1 model calls, k tools, and the last activity that delivers. */
export async function floor({ turnId, k }: { turnId: string; k: number }): Promise<void> {
  for (let step = 1; step <= k; step++) {
    await callModel({ turnId, step });
    await tool({ turnId, callId: `s${step}.c1` });
  }
  await callModel({ turnId, step: k + 1 });
  await deliver({ turnId });
}
