// One arm takes one turn and resolves when its run has ended. Arms alternate turn by turn in one run, so that the machine's moods hit
// all of them alike.
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { Client, WorkflowNotFoundError } from '@temporalio/client';
import { bundleWorkflowCode, NativeConnection, Worker } from '@temporalio/worker';
import { z } from 'zod';
import { defineTool, success, type Tool } from '../activities/tools/tool.js';
import { type Chat, startChat } from '../test/support/chat.js';
import { asksFor, type ChatRequest, says } from '../test/support/model-server.js';

export interface Arm {
  name: string;
  /** Milliseconds from the request to the end of the run. */
  turn(k: number): Promise<number>;
  close(): Promise<void>;
}

const silent = { log() {}, trace() {}, debug() {}, info() {}, warn() {}, error() {} };

/** The same worker options as the product's. */
const workerOptions = {
  maxCachedWorkflows: 250,
  maxConcurrentWorkflowTaskExecutions: 20,
  maxConcurrentActivityTaskExecutions: 50,
  maxConcurrentLocalActivityExecutions: 20,
  stickyQueueScheduleToStartTimeout: '300ms',
  maxHeartbeatThrottleInterval: '300ms',
  defaultHeartbeatThrottleInterval: '300ms',
} as const;

const noOp = async () => ({ state: 'open', calls: [], outcome: 'done', bytes: 100, tainted: false });

export async function openFloor(address: string, name = 'floor'): Promise<Arm> {
  const connection = await NativeConnection.connect({ address });
  const taskQueue = `floor-${randomUUID()}`;
  const workflowBundle = await bundleWorkflowCode({
    workflowsPath: join(import.meta.dirname, 'floor.ts'),
    logger: silent,
  });
  const worker = await Worker.create({
    connection,
    taskQueue,
    workflowBundle,
    activities: { callModel: noOp, tool: noOp, deliver: noOp },
    ...workerOptions,
  });
  const done = worker.run();
  const client = new Client({ connection });
  return {
    name,
    async turn(k) {
      const started = performance.now();
      const handle = await client.workflow.start('floor', {
        workflowId: `floor/${randomUUID()}`,
        taskQueue,
        args: [{ turnId: '1-1', k }],
        workflowTaskTimeout: '1 second',
        requestEagerStart: true,
      });
      await handle.result();
      return performance.now() - started;
    },
    async close() {
      worker.shutdown();
      await done;
      await connection.close();
    },
  };
}

const note: Omit<Tool<{ text: string }>, 'name' | 'effect'> = {
  description: 'Does nothing.',
  input: z.object({ text: z.string() }),
  defaultPolicy: 'allow',
  timeoutMs: 5_000,
  summary: ({ text }) => `note ${text}`,
  run: async ({ text }) => success(text),
};

/** One call a step, k times, then an answer: a pure function of the request, so that a turn asks for exactly k calls. */
function script(tool: string) {
  return ({ messages }: ChatRequest) => {
    const from = messages.findLastIndex((message) => message.role === 'user');
    const k = Number(/k=(\d+)/.exec(messages[from]?.content ?? '')?.[1] ?? 0);
    const done = messages.slice(from).filter((message) => message.role === 'tool').length;
    return done < k ? asksFor(tool, { text: `n${done}` }) : says('Done.');
  };
}

/** `accept` does not wait for the engine, so the run may not exist yet. */
export async function endOfRun(chat: Chat, turnId: string): Promise<void> {
  const handle = await chat.run(turnId);
  for (;;) {
    try {
      await handle.result();
      return;
    } catch (error) {
      if (!(error instanceof WorkflowNotFoundError)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }
}

/** The product, with a scripted model behind HTTP and a tool that does nothing. `local`: a read of the workspace. */
export async function openProduct(name: string, { local }: { local: boolean }): Promise<Arm & { chat: Chat }> {
  const tool = defineTool({
    ...note,
    name: 'note',
    effect: local ? 'read' : 'idempotent',
    ...(local && { local: true as const }),
  });
  const chat = await startChat({ script: script('note'), tools: [tool], agent: { maxRequests: 64 } });
  return {
    name,
    chat,
    async turn(k) {
      const started = performance.now();
      const { turnId } = await chat.say(`k=${k}`, { chat: randomUUID() });
      await endOfRun(chat, turnId ?? '');
      return performance.now() - started;
    },
    close: () => chat.close(),
  };
}
