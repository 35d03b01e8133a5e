// The scale-out set by hand: one `gateway` and two `worker` processes of dist/, each with a home of its own, one workspace, one
// PostgreSQL, one Temporal. No platform exists yet on which `durabot gateway` could receive, so this test is its channel: it accepts
// through the same modules as that process (`openGateway` with a client's own engine) and works at nothing itself.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';
import type { Incoming } from '../../channels/channel.js';
import { followTurn } from '../../channels/terminal/follow-turn.js';
import { countWorkers } from '../../store/workers.js';
import { type Base, openBase } from '../../workers/compose.js';
import { loadConfig } from '../../workers/config.js';
import { type Gateway, openGateway } from '../../workers/gateway.js';
import { createClientEngine } from '../../workers/late-engine.js';
import { isAlive } from '../../workers/local-stack/processes.mjs';
import { asksFor, type ModelServer, says, startModelServer } from '../support/model-server.js';
import { byMessage } from '../support/plans.js';
import { message, openTestStore, type TestStore } from '../support/store.js';

const address = process.env.DURABOT_TEST_TEMPORAL_ADDRESS ?? '';
/** Writes its process id, then waits for a file that only this test makes. */
const waits = (name: string) => `echo $$ >> ${name}.pid; while [ ! -e ${name}.go ]; do sleep 0.05; done; echo gone on`;

let folder: string;
let store: TestStore;
let model: ModelServer;
let base: Base;
let gateway: Gateway;
/** The command that outlives its killed worker. */
let orphan = 0;
const processes = new Map<string, ChildProcess>();
const closing: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'durabot-scale-out-'));
  await mkdir(join(folder, 'workspace'));
  store = await openTestStore();
  model = await startModelServer({
    script: byMessage({
      'tell me': [says(['Words ', 'that cross ', 'processes.'], { heldAfter: 2 })],
      'wait for me': (request) =>
        request.messages.at(-1)?.role === 'tool' ? said(request) : asksFor('exec', { command: waits('killed') }),
      'never mind': [asksFor('exec', { command: waits('stopped') }), says('never said')],
    }),
  });
  const namespace = `test-${randomUUID()}`;
  await registerNamespace(namespace);
  const environment = environmentOf('test', namespace);
  base = await openBase({
    config: loadConfig({ environment }),
    servers: { temporalAddress: address, namespace, databaseUrl: store.databaseUrl },
    command: 'gateway',
  });
  const client = createClientEngine(base);
  gateway = await openGateway(base, await client.open());
  closing.push(gateway.close, client.close, base.close);
  for (const name of ['gateway', 'worker-1', 'worker-2']) start(name, namespace);
  await Promise.all([...processes.keys()].map((name) => isUp(name)));
}, 120_000);

afterAll(async () => {
  await writeFile(join(folder, 'workspace', 'killed.go'), '');
  while (orphan > 0 && (await isAlive(orphan))) await pause(25);
  for (const child of processes.values()) child.kill('SIGTERM');
  await Promise.all([...processes.values()].map(hasEnded));
  for (const close of closing) await close();
  await model.close();
  await store.close();
  await rm(folder, { recursive: true, force: true });
}, 60_000);

test('what the gateway accepts is answered by a worker, and heard while it is being written', async () => {
  expect(await countWorkers(store.pool)).toBe(2);
  const heard = new Map<number, string>(); // a second attempt begins anew
  const off = gateway.listener.on('delta', ({ attempt, text }) => {
    const words = (heard.get(attempt) ?? '') + text;
    heard.set(attempt, words);
    if (words === 'Words that cross ') model.release(); // the model says its last word only when the first ones were heard
  });
  const accepted = await gateway.accept(toMessage('tell me something'));
  const turnId = await followTurn(gateway, accepted, {}, neverAborted);
  off();
  // The end of the turn may overtake the last piece; the recorded step has it.
  expect([...heard.values()].at(-1)).toMatch(/^Words that cross (processes\.)?$/);
  expect(await gateway.store.overview.report(turnId)).toMatchObject({
    state: 'answered',
    answer: 'Words that cross processes.',
  });
});

test('a stop that the gateway accepts ends the command in the worker', async () => {
  const incoming = toMessage('never mind');
  const accepted = await gateway.accept(incoming);
  const pid = await pidOf('stopped');
  await gateway.accept({ ...incoming, externalId: randomUUID(), text: '/stop', command: 'stop' });
  const turnId = await followTurn(gateway, accepted, {}, neverAborted);
  expect((await gateway.store.turns.find(turnId))?.state).toBe('stopped');
  expect(await isAlive(pid)).toBe(false);
});

test('a worker killed during a command is replaced by the other, and the model is told that it may have happened', async () => {
  const accepted = await gateway.accept(toMessage('wait for me'));
  orphan = await pidOf('killed');
  const killed = await workerOf(accepted.turnId ?? '');
  processes.get(killed)?.kill('SIGKILL');
  const turnId = await followTurn(gateway, accepted, {}, neverAborted);
  const report = await gateway.store.overview.report(turnId);
  expect(report).toMatchObject({ state: 'answered', steps: 2, toolCalls: 1 });
  // The supervisor of the dead worker's host cannot be looked at from another one: nobody claims to know, and nobody runs it again.
  expect(report?.answer).toContain('may or may not have taken effect');
  expect(await readFile(join(folder, 'workspace', 'killed.pid'), 'utf8')).toBe(`${orphan}\n`);
  expect(await countWorkers(store.pool)).toBe(1);
});

test('the processes end in order when they are told to', async () => {
  const child = processes.get('gateway');
  child?.kill('SIGTERM');
  expect(child && (await hasEnded(child))).toBe(0);
});

const neverAborted = new AbortController().signal;

function said({ messages }: { messages: { role: string; content?: string | null }[] }) {
  return says(`It ended so: ${messages.at(-1)?.content}`);
}

function toMessage(text: string): Incoming {
  return message(text, { chat: randomUUID() });
}

/** As an installation of its own on a shared cluster. */
async function registerNamespace(namespace: string): Promise<void> {
  const connection = await Connection.connect({ address });
  try {
    await connection.workflowService.registerNamespace({
      namespace,
      workflowExecutionRetentionPeriod: msToTs('1 day'),
    });
    for (;;) {
      const found = await connection.workflowService.describeNamespace({ namespace }).catch(() => undefined);
      if (found) return;
      await pause(100);
    }
  } finally {
    await connection.close();
  }
}

function environmentOf(name: string, namespace: string): Record<string, string> {
  return {
    PATH: process.env.PATH ?? '',
    HOME: folder,
    DURABOT_HOME: join(folder, name),
    DATABASE_URL: store.databaseUrl,
    TEMPORAL_ADDRESS: address,
    TEMPORAL_NAMESPACE: namespace,
    OPENAI_API_KEY: 'not-a-key',
    OPENAI_BASE_URL: model.baseUrl,
    DURABOT_AGENTS__DEFAULTS__MODEL: 'scripted-1',
    DURABOT_AGENTS__DEFAULTS__WORKSPACE: join(folder, 'workspace'),
    // Where the test runs there may be no bubblewrap; the sandbox has tests of its own.
    DURABOT_TOOLS__EXEC__SANDBOX: 'off',
  };
}

/** `worker-1` runs `durabot worker`. Its words go to a file, which is shown when it does not come up. */
function start(name: string, namespace: string): void {
  const command = name.replace(/-\d+$/, '');
  const source = `const { main } = await import('./dist/workers/cli.js'); await main(['${command}']);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
    cwd: join(import.meta.dirname, '../..'),
    env: environmentOf(name, namespace),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  processes.set(name, child);
}

async function isUp(name: string): Promise<void> {
  const child = processes.get(name);
  let output = '';
  await new Promise<void>((resolve, reject) => {
    const hear = (data: Buffer) => {
      output += data.toString('utf8');
      if (output.includes('is up')) resolve();
    };
    child?.stdout?.on('data', hear);
    child?.stderr?.on('data', hear);
    child?.once('exit', () => reject(new Error(`${name} ended: ${output}`)));
  });
}

async function hasEnded(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await new Promise((resolve) => child.once('exit', resolve));
  return child.exitCode;
}

/** Of the shell that runs the command, once it runs. */
async function pidOf(name: string): Promise<number> {
  const path = join(folder, 'workspace', `${name}.pid`);
  for (;;) {
    const pid = existsSync(path) ? Number(await readFile(path, 'utf8')) : 0;
    if (pid > 0) return pid;
    await pause(25);
  }
}

/** The process in whose home the command of this turn runs. */
async function workerOf(turnId: string): Promise<string> {
  for (const name of ['worker-1', 'worker-2']) {
    const folders: string[] = await readdir(join(folder, name, 'data', 'exec'));
    if (folders.includes(`${turnId}.s1.c1`)) return name;
  }
  throw new Error(`no worker runs a command of ${turnId}`);
}
