// A whole worker on the shared servers, with a scripted model behind HTTP: what a person sees, without a terminal.
import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import { Client, Connection } from '@temporalio/client';
import { bundleWorkflowCode, type WorkflowBundleOption } from '@temporalio/worker';
import { createOpenAiProvider } from '../../activities/model/providers/openai.js';
import { estimateTokens } from '../../activities/model/tokens.js';
import type { Tool } from '../../activities/tools/tool.js';
import { createAccept } from '../../channels/accept.js';
import type { Accept, Accepted, Channel, Incoming } from '../../channels/channel.js';
import type { StoreDeps } from '../../store/deps.js';
import { writeNamespaceId } from '../../store/installation.js';
import { isOpen, type TurnRow } from '../../store/rows.js';
import { type Agent, type AgentOptions, openAgent } from '../../workers/agent.js';
import { installRuntime } from '../../workers/runtime.js';
import { type ModelServer, type Script, startModelServer } from './model-server.js';
import { message, openTestStore, type TestStore } from './store.js';

export interface Chat {
  agent: Agent;
  test: TestStore;
  model: ModelServer;
  client: Client;
  accept: Accept;
  workspace: string;
  dataDir: string;
  taskQueue: string;
  /** Accepts a message of the person. */
  say(text: string, changes?: Partial<Incoming>): Promise<Accepted>;
  /** Resolves with the turn's row once it is closed. */
  ended(turnId: string): Promise<TurnRow>;
  /** Texts that stand in the transcript, as "role: text". */
  transcript(conversationId: string): Promise<string[]>;
  /** The run that owns a turn. */
  run(turnId: string): Promise<WorkflowHandle>;
  close(): Promise<void>;
}

export interface ChatOptions {
  script: Script;
  /** A function when they need the folder of the worker's data. */
  tools?: readonly Tool[] | ((dataDir: string) => readonly Tool[]);
  channels?: readonly Channel[];
  store?: Partial<StoreDeps>;
  agent?: Partial<AgentOptions>;
  /** A server of the test's own, instead of the shared one. */
  temporal?: string;
  /** Let the worker make attributes and Schedules, as on an engine that it has not seen. Only on a server of the test's own. */
  rebuilds?: boolean;
}

let bundle: WorkflowBundleOption | undefined;
let installed = false;

/** One runtime a process: before anything else of the SDK is opened. */
export function silenceSdk(): void {
  if (!installed) installRuntime({ warn() {}, error() {}, debug() {} });
  installed = true;
}

/** The bundle of this run of the tests, or one made now. */
export async function workflowBundle(): Promise<WorkflowBundleOption> {
  const codePath = process.env.DURABOT_TEST_WORKFLOW_BUNDLE;
  if (codePath) return { codePath };
  const workflowsPath = join(import.meta.dirname, '../../workflows/index.ts');
  bundle ??= await bundleWorkflowCode({
    workflowsPath,
    logger: { log() {}, trace() {}, debug() {}, info() {}, warn() {}, error() {} },
  });
  return bundle;
}

function temporalAddress(): string {
  const address = process.env.DURABOT_TEST_TEMPORAL_ADDRESS;
  if (!address) throw new Error('No test stack: run `npm test`, or `node test/run.mjs --stack-only` beside it.');
  return address;
}

// One id of `reconcile` for the whole namespace: on the shared server the files would wait for each other's workers.
async function knowEngine(client: Client, deps: StoreDeps): Promise<void> {
  const { namespaceInfo } = await client.workflowService.describeNamespace({ namespace: 'default' });
  await writeNamespaceId(deps, namespaceInfo?.id ?? '');
}

export async function startChat({
  script,
  tools = [],
  channels = [],
  store = {},
  agent: changes = {},
  temporal,
  rebuilds = false,
}: ChatOptions): Promise<Chat> {
  silenceSdk();
  const test = await openTestStore({ estimateTokens, ...store });
  const model = await startModelServer({ script });
  const folder = await mkdtemp(join(tmpdir(), 'durabot-chat-'));
  const workspace = join(folder, 'workspace');
  const dataDir = join(folder, 'data');
  await mkdir(workspace);
  const address = temporal ?? temporalAddress();
  const connection = await Connection.connect({ address });
  const client = new Client({ connection });
  if (!rebuilds) await knowEngine(client, test.deps);
  const taskQueue = `test-${randomUUID()}`;
  const provider = createOpenAiProvider({
    name: 'scripted',
    baseUrl: model.baseUrl,
    apiKey: 'test',
    timeouts: { callMs: 30_000, streamMs: 60_000, idleMs: 20_000 },
  });
  const agent = await openAgent({
    temporal: { address, namespace: 'default', taskQueue },
    databaseUrl: test.databaseUrl,
    pool: test.pool,
    storeDeps: test.deps,
    workflowBundle: await workflowBundle(),
    workspaceRoot: workspace,
    dataDir,
    tools: typeof tools === 'function' ? tools(dataDir) : tools,
    rules: [],
    channels: new Map(channels.map((channel) => [channel.name, channel])),
    timeZone: 'UTC',
    temperature: 0.1,
    maxResultChars: 16_000,
    maxRequests: 8,
    modelName: 'scripted-1',
    choose: () => ({
      provider,
      model: 'scripted-1',
      contextWindowTokens: 200_000,
      maxTokens: 8_192,
      price: null,
      rule: 'test',
    }),
    systemPrompt: async () => 'You are a test.',
    outageNotice: () => 'The model does not answer.',
    onError: () => {},
    ...changes,
  });
  const accept = createAccept({
    store: agent.store,
    engine: agent.engine,
    finishStop: (target) => agent.finishStop(target),
    onLeft: () => {},
  });

  async function ended(turnId: string): Promise<TurnRow> {
    for (;;) {
      const closed = new Promise<void>((resolve) => {
        const off = agent.listener.on('turn', () => {
          off();
          resolve();
        });
      });
      const turn = await agent.store.turns.find(turnId);
      if (turn && !isOpen(turn.state)) return turn;
      await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 250))]);
    }
  }

  return {
    agent,
    test,
    model,
    client,
    accept,
    workspace,
    dataDir,
    taskQueue,
    say: (text, incoming = {}) => accept(message(text, incoming)),
    ended,
    async transcript(conversationId) {
      const entries = await agent.store.transcript.entries({ conversationId, turnId: '', maxTokens: 1e9 });
      return entries.map(
        ({ role, parts }) =>
          `${role}: ${parts.map((part) => (part.kind === 'call' ? part.callId : part.text)).join(' ')}`,
      );
    },
    async run(turnId) {
      const turn = await agent.store.turns.find(turnId);
      return client.workflow.getHandle(turn?.owner ?? '');
    },
    async close() {
      await agent.close();
      await connection.close();
      await model.close();
      await test.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
