// A home of its own for commands of dist/, with a database of its own in the test's PostgreSQL, a task queue of its own in its Temporal,
// and a scripted model behind an OpenAI-compatible endpoint.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ModelServer, type Script, startModelServer } from './model-server.js';
import { openTestStore, type TestStore } from './store.js';

export interface Ended {
  /** Null when a signal ended it. */
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface Running {
  child: ChildProcess;
  stdout(): string;
  stderr(): string;
  /** Resolves once the text, or something that matches, stands on stdout or stderr; rejects when the process ends before. */
  says(text: string | RegExp): Promise<void>;
  ended: Promise<Ended>;
}

export interface TestHome {
  home: string;
  test: TestStore;
  model: ModelServer;
  environment: Record<string, string>;
  /** Starts a command line of the built program. Without `input` its stdin is empty; with `holdOpen` it stays open. */
  start(args: string[], options?: StartOptions): Running;
  /** The same, waited for. */
  run(args: string[], options?: StartOptions): Promise<Ended>;
  close(): Promise<void>;
}

export interface StartOptions {
  input?: string;
  holdOpen?: boolean;
  environment?: Record<string, string>;
}

const root = join(import.meta.dirname, '../..');
const main = `const { main } = await import('./dist/workers/cli.js'); await main(process.argv.slice(1));`;

export async function openTestHome(script: Script): Promise<TestHome> {
  const test = await openTestStore();
  const model = await startModelServer({ script });
  const folder = await mkdtemp(join(tmpdir(), 'durabot-home-'));
  const home = join(folder, 'home');
  await mkdir(home);
  const environment = {
    PATH: process.env.PATH ?? '',
    HOME: folder,
    NO_COLOR: '1',
    DURABOT_HOME: home,
    DATABASE_URL: test.databaseUrl,
    TEMPORAL_ADDRESS: process.env.DURABOT_TEST_TEMPORAL_ADDRESS ?? '',
    TEMPORAL_TASK_QUEUE: `test-${randomUUID()}`,
    OPENAI_API_KEY: 'sk-test-0000000000000000000000000000',
    OPENAI_BASE_URL: model.baseUrl,
    DURABOT_AGENTS__DEFAULTS__MODEL: 'scripted-1',
  };
  const running = new Set<Running>();

  function start(args: string[], { input, holdOpen = false, environment: more = {} }: StartOptions = {}): Running {
    const child = spawn(process.execPath, ['--input-type=module', '-e', main, '--', ...args], {
      cwd: root,
      env: { ...environment, ...more },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const one = watch(child);
    running.add(one);
    one.ended.then(
      () => running.delete(one),
      () => running.delete(one),
    );
    if (input !== undefined) child.stdin?.write(input);
    if (!holdOpen) child.stdin?.end();
    return one;
  }

  return {
    home,
    test,
    model,
    environment,
    start,
    run: (args, options) => start(args, options).ended,
    async close() {
      for (const { child } of running) child.kill('SIGKILL');
      await Promise.all([...running].map(({ ended }) => ended));
      await model.close();
      await test.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function watch(child: ChildProcess): Running {
  const texts = { stdout: '', stderr: '' };
  const watchers = new Set<() => void>();
  const look = () => {
    for (const watcher of [...watchers]) watcher();
  };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      texts[name] += text;
      look();
    });
  }
  const ended = new Promise<Ended>((resolve) => {
    child.once('close', (code) => {
      resolve({ code, ...texts });
      look();
    });
  });
  const isThere = (text: string | RegExp) =>
    [texts.stdout, texts.stderr].some((all) => (typeof text === 'string' ? all.includes(text) : text.test(all)));
  return {
    child,
    stdout: () => texts.stdout,
    stderr: () => texts.stderr,
    says: (text) =>
      new Promise((resolve, reject) => {
        const watcher = () => {
          const hasEnded = child.exitCode !== null || child.signalCode !== null;
          if (isThere(text)) resolve();
          else if (hasEnded) reject(new Error(`It ended without saying ${text}:\n${texts.stdout}\n${texts.stderr}`));
          else return;
          watchers.delete(watcher);
        };
        watchers.add(watcher);
        watcher();
      }),
    ended,
  };
}
