// I6: every run that was made under kills replays on this build.
import type { Client } from '@temporalio/client';
import { DefaultLogger, Runtime, Worker, type WorkflowBundleOption } from '@temporalio/worker';
import type { Violation } from './invariants.js';

let installed = false;

/** Runs that started since `since` and have ended. */
export async function replayRuns(client: Client, bundle: WorkflowBundleOption, since: Date): Promise<Violation[]> {
  if (!installed) Runtime.install({ logger: new DefaultLogger('ERROR', () => {}), shutdownSignals: [] });
  installed = true;
  const wrong: Violation[] = [];
  const histories = client.workflow
    .list({ query: `StartTime >= '${since.toISOString()}' AND ExecutionStatus != 'Running'` })
    .intoHistories({ concurrency: 4 });
  for await (const { workflowId, error } of Worker.runReplayHistories({ workflowBundle: bundle }, histories)) {
    if (error) wrong.push({ id: 'I6', what: `${workflowId} does not replay: ${error.message}` });
  }
  return wrong;
}
