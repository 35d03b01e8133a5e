// A worker: connections, activities and the engine's worker, opened together and closed in reverse. Everything it needs is handed in,
// so a process file and a test open the same thing.

import { activityInfo } from '@temporalio/activity';
import { Client } from '@temporalio/client';
import {
  type ActivityInboundCallsInterceptor,
  NativeConnection,
  Worker,
  type WorkflowBundleOption,
} from '@temporalio/worker';
import { type Aborts, createAborts } from '../activities/aborts.js';
import { createActivities, createToolActivities } from '../activities/index.js';
import { createAskStep } from '../activities/model/ask-step.js';
import type { ChosenModel } from '../activities/model/model.js';
import { createRequests } from '../activities/requests.js';
import { createExecs } from '../activities/tools/exec/execs.js';
import type { Tool } from '../activities/tools/tool.js';
import { openWorkspace } from '../activities/tools/workspace.js';
import type { CloseDeps } from '../activities/turns/close-turn.js';
import { finishStop, sweepOnce } from '../activities/turns/sweep.js';
import type { Channel } from '../channels/channel.js';
import type { Rule } from '../policy/decide.js';
import { reconcileSchedules } from '../schedules/reconcile.js';
import type { StoreDeps } from '../store/deps.js';
import { createStore, type Store } from '../store/index.js';
import { type Listener, openListener } from '../store/listener.js';
import type { Pool } from '../store/pool.js';
import type { StopTarget, TurnSettings } from '../store/rows.js';
import { createSpeaker } from '../store/speaker.js';
import type { Engine } from '../workflows/contract.js';
import { createEngine } from './engine.js';
import { watchEngine } from './watch-engine.js';

export interface AgentOptions {
  temporal: { address: string; namespace: string; taskQueue: string };
  databaseUrl: string;
  pool: Pool;
  storeDeps: StoreDeps;
  workflowBundle: WorkflowBundleOption;
  workspaceRoot: string;
  dataDir: string;
  tools: readonly Tool[];
  rules: readonly Rule[];
  channels: ReadonlyMap<string, Channel>;
  timeZone: string;
  contextBlockLimit?: number;
  reasoningEffort?: string;
  temperature: number;
  maxResultChars: number;
  maxRequests: number;
  /** The name that runs carry in the engine's UI. */
  modelName: string;
  choose(settings: TurnSettings): ChosenModel;
  systemPrompt(settings: TurnSettings, subagent: boolean): Promise<string>;
  outageNotice(turnId: string): string;
  onError(message: string, error: unknown): void;
}

/** An activity that comes from the server says that the engine has heard the task which scheduled it. */
function afterTask({ crashPoint }: Store): NonNullable<ActivityInboundCallsInterceptor['execute']> {
  return (input, next) => {
    if (!activityInfo().isLocal) crashPoint('turn.task', 'after');
    return next(input);
  };
}

export interface Agent {
  store: Store;
  engine: Engine;
  listener: Listener;
  aborts: Aborts;
  /** Follows a stop mark to its end: see the sweep, which does the same for setters that died. */
  finishStop(target: StopTarget): Promise<void>;
  sweep(): Promise<void>;
  /** Resolves when the worker has ended; rejects when it failed. */
  done: Promise<void>;
  /** Lets running tools finish for a while, then ends; open turns go on at the next start. */
  close(): Promise<void>;
}

/** Resolves when the worker polls. The sweep of this start and the engine's Schedules follow in the background. */
export async function openAgent(options: AgentOptions): Promise<Agent> {
  const { temporal, onError } = options;
  const store = createStore(options.storeDeps);
  const listener = await openListener({
    databaseUrl: options.databaseUrl,
    onError: (error) => onError('Listening was interrupted', error),
    asWorker: true,
  });
  const connection = await NativeConnection.connect({ address: temporal.address });
  const client = new Client({ connection, namespace: temporal.namespace });
  const engine = createEngine({
    client,
    taskQueue: temporal.taskQueue,
    eager: true,
    modelName: options.modelName,
    transcriptChannels: options.storeDeps.transcriptChannels,
  });
  const workspace = await openWorkspace(options.workspaceRoot);
  const execs = await createExecs({ dataDir: options.dataDir, liveCalls: (keys) => store.turns.liveCalls(keys) });
  const aborts = createAborts();
  const closing: CloseDeps = { store, engine, execs, onError };
  const watch = watchEngine({
    client,
    store,
    onError,
    rebuild: () => reconcileSchedules(client, temporal.taskQueue),
    wakeReconcile: () => engine.wakeReconcile(),
    sweep: (atStart) => sweepOnce(closing, { atStart }),
  });
  const deps = {
    ...options,
    store,
    engine,
    listener,
    execs,
    host: execs.host,
    aborts,
    workspace,
    speaker: createSpeaker(options.pool),
    tools: new Map(options.tools.map((tool) => [tool.name, tool])),
    requests: createRequests(options.maxRequests),
    reconcile: () => watch.reconcile(),
  };
  const askStep = createAskStep({
    ...deps,
    localReads: true,
    contextBlockLimit: options.contextBlockLimit,
    reasoningEffort: options.reasoningEffort,
  });
  const activities = createActivities({ ...deps, askStep });
  const worker = await Worker.create({
    connection,
    namespace: temporal.namespace,
    taskQueue: temporal.taskQueue,
    workflowBundle: options.workflowBundle,
    activities: { ...activities, ...createToolActivities(deps) },
    // Only the bundle of the kill tests calls this sink: it runs between a workflow's commands and their way to the engine.
    sinks: { worker: { answers: { fn: () => store.crashPoint('turn.task', 'before'), callDuringReplay: true } } },
    interceptors: { activity: [() => ({ inbound: { execute: afterTask(store) } })] },
    maxCachedWorkflows: 250,
    maxConcurrentWorkflowTaskExecutions: 20,
    maxConcurrentActivityTaskExecutions: 50,
    maxConcurrentLocalActivityExecutions: 20,
    // The knobs of "a second worker goes on within two seconds": a lost worker's tasks are given away soon.
    stickyQueueScheduleToStartTimeout: '300ms',
    maxHeartbeatThrottleInterval: '300ms',
    defaultHeartbeatThrottleInterval: '300ms',
    shutdownGraceTime: '10s',
  });
  const forget = [
    listener.on('mark', (turnId) => aborts.stop(turnId)),
    // Marks that were set while nobody listened.
    listener.on('reconnected', () => watch.sweepSoon()),
  ];
  const done = worker.run();
  watch.start();
  return {
    store,
    engine,
    listener,
    aborts,
    finishStop(target) {
      aborts.stop(target.turnId);
      return finishStop(closing, target, (ms) => new Promise((resolve) => setTimeout(resolve, ms).unref()));
    },
    sweep: () => sweepOnce(closing, { atStart: false }),
    done,
    async close() {
      for (const off of forget) off();
      await watch.stop();
      if (worker.getState() === 'RUNNING') worker.shutdown();
      await done.catch((error: unknown) => onError('The worker ended with an error', error));
      await listener.close();
      await connection.close();
    },
  };
}
