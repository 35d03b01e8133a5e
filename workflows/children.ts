// Subagents as child workflows. Their rows are the truth: however a child's run ends, its parent waits for the row.
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  ChildWorkflowCancellationType,
  ChildWorkflowFailure,
  executeChild,
  isCancellation,
  ParentClosePolicy,
  startChild,
} from '@temporalio/workflow';
import type { PlannedCall } from './contract.js';
import { awaitSubagent } from './proxies.js';
import type { subagent } from './subagent.js';

/** Resolves when the result of a waited child stands in its parent's call; for one in the background, when its run has begun. */
export async function runChild(child: NonNullable<PlannedCall['child']>, summary: string): Promise<void> {
  const options = {
    workflowId: child.workflowId,
    args: [{ turnId: child.turnId }] as [{ turnId: string }],
    workflowIdReusePolicy: 'REJECT_DUPLICATE',
    workflowRunTimeout: '30 days',
    workflowTaskTimeout: '1 second',
    staticSummary: summary,
    cancellationType: ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
  } as const;
  try {
    if (!child.wait) {
      // Awaited: a child whose start nobody awaited never exists. ABANDON: the parent's own answer must not end it.
      await startChild<typeof subagent>('subagent', { ...options, parentClosePolicy: ParentClosePolicy.ABANDON });
      return;
    }
    await executeChild<typeof subagent>('subagent', {
      ...options,
      parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
    });
  } catch (error) {
    if (isCancellation(error)) throw error;
    // A restarted parent finds its child started; a child's own failure stands in its row.
    if (!(error instanceof ChildWorkflowFailure || error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    if (!child.wait) return;
  }
  await awaitSubagent({ turnId: child.turnId });
}
