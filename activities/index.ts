// What a worker registers: the activities of the loop by their names, and one activity for each tool.

import type { Listener } from '../store/listener.js';
import type { CallOutcome, CallRef } from '../workflows/contract.js';
import { createDeliver, type DeliverDeps } from './delivery/deliver.js';
import { type CallModelDeps, createCallModel } from './model/call-model.js';
import { createRunTool, type RunToolDeps } from './tools/run-tool.js';
import { createAwaitSubagent } from './turns/await-subagent.js';
import { type CloseDeps, createCloseTurn } from './turns/close-turn.js';
import { createSettleCall, type SettleDeps } from './turns/settle-call.js';
import { createSweep } from './turns/sweep.js';

export interface ActivityDeps extends CallModelDeps, RunToolDeps, CloseDeps, SettleDeps, DeliverDeps {
  listener: Listener;
  /** Made in schedules/, handed in by workers/. */
  reconcile(): Promise<void>;
}

export function createActivities(deps: ActivityDeps) {
  return {
    callModel: createCallModel(deps),
    settleCall: createSettleCall(deps),
    closeTurn: createCloseTurn(deps),
    deliver: createDeliver(deps),
    awaitSubagent: createAwaitSubagent(deps),
    sweep: createSweep(deps),
    reconcile: () => deps.reconcile(),
  };
}

export type Activities = ReturnType<typeof createActivities>;

/** Known tools by their names; `default` receives every type that nobody else does. */
export function createToolActivities(deps: RunToolDeps): Record<string, (ref: CallRef) => Promise<CallOutcome>> {
  const runTool = createRunTool(deps);
  return Object.fromEntries([...deps.tools.keys()].map((name) => [name, runTool]));
}
