// The stage of kill tests: a home of its own with its own servers, the oracle beside it, and processes of the product that are
// started, killed, frozen and started again. Everything is known by its pid and ended at the end.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { findPostgresUser } from '../../workers/local-stack/postgres-binaries.js';
import { placeOf } from '../../workers/local-stack/postgres-place.js';
import { findLocalStack, type LocalStack, openLocalStack, stopLocalStack } from '../../workers/local-stack/stack.js';
import { monotonicMs } from './journal.js';

export type Role = 'serve' | 'worker' | 'gateway';
export type Server = 'temporal' | 'postgres';

export interface Start {
  /** Of `armCrashPoint`: the process kills itself there. */
  crashAt?: string;
  brokenBuild?: string;
}

/** One process of the product. It is started again under the same name, and then is another one. */
export interface Product {
  role: Role;
  /** The point that it is armed with; empty when none. */
  crashAt: string;
  pid: number;
  /** Resolves when it polls or receives; rejects when it ends before. */
  ready: Promise<void>;
  /** Resolves with the moment of its end. `expected`: by a kill of ours or of a crash point. */
  ended: Promise<{ at: number; expected: boolean }>;
  kill(): Promise<number>;
  freeze(): void;
  thaw(): void;
}

export interface Stage {
  home: string;
  workspace: string;
  journal: string;
  stack: LocalStack;
  /** No process of the product has run here yet. */
  isFresh(): boolean;
  start(role: Role, options?: Start): Product;
  /** Runs a command of the built program in this home. */
  command(...args: string[]): ChildProcess;
  /** Kills a server; answers with the moment. Starts none. */
  killServer(server: Server): Promise<number>;
  /** Starts what does not run; the addresses stay. */
  startServers(): Promise<void>;
  post(message: object): Promise<void>;
  /** Messages that a platform still has to hand over. */
  unacknowledged(): Promise<number>;
  close(): Promise<void>;
}

export interface OpenStage {
  /** Workflow bundle whose tasks can be cut: see task-sink.ts. */
  bundle?: string;
  /** Leaves the folder of the run where it is. */
  keep?: string;
}

const root = fileURLToPath(new URL('../../', import.meta.url));
// As workers/durabot.mjs does it, but without a look whether the sources are newer.
const builtCommand = `const { main } = await import('${root}dist/workers/cli.js'); await main(process.argv.slice(1));`;
const runTypescript = join(root, 'test', 'support', 'run-typescript.mjs');

export async function openStage({ bundle, keep }: OpenStage = {}): Promise<Stage> {
  const folder = keep ?? (await mkdtemp(join(await realpath(tmpdir()), 'durabot-crash-')));
  const home = join(folder, 'home');
  const journal = join(folder, 'journal.jsonl');
  await mkdir(join(home, 'logs'), { recursive: true });
  const settings = {
    home,
    temporalNamespace: 'default',
    searchPath: await withTemporal(folder),
    cacheFolder: join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'durabot'),
  };
  const children = new Set<ChildProcess>();
  let fresh = true;

  const launch = (args: string[], env: Record<string, string>, log: string): ChildProcess => {
    const out = openSync(join(folder, log), 'a');
    const child = spawn(process.execPath, args, { cwd: folder, env, stdio: ['pipe', 'pipe', out] });
    closeSync(out);
    children.add(child);
    child.once('exit', () => children.delete(child));
    return child;
  };

  const oracle = launch(
    [runTypescript, join(root, 'test/crash/oracle-main.ts'), journal],
    { PATH: process.env.PATH ?? '' },
    'oracle.log',
  );
  const { modelUrl, url } = JSON.parse(await firstLine(oracle)) as { modelUrl: string; url: string };
  await writeFile(join(home, 'config.json'), configFor(modelUrl));
  const open = () => openLocalStack({ settings, say: () => {} });
  const stack = await open();

  const environment = {
    PATH: settings.searchPath,
    HOME: process.env.HOME ?? '/',
    DURABOT_HOME: home,
    CRASH_ORACLE_URL: url,
  };
  // As in the scale-out set: who runs the product also runs its servers.
  const given = { DATABASE_URL: stack.databaseUrl, TEMPORAL_ADDRESS: stack.temporalAddress };

  return {
    home,
    workspace: join(home, 'workspace'),
    journal,
    stack,
    isFresh: () => fresh,
    start(role, { crashAt = '', brokenBuild = '' } = {}) {
      fresh = false;
      const main = join(root, 'test/crash/service-main.ts');
      const env = {
        ...environment,
        ...given,
        DURABOT_CRASH_AT: crashAt,
        CRASH_BROKEN_BUILD: brokenBuild,
        CRASH_WORKFLOW_BUNDLE: bundle ?? '',
      };
      return toProduct(launch([runTypescript, main, role], env, `${role}.log`), role, crashAt);
    },
    command: (...args) =>
      launch(['--input-type=module', '-e', builtCommand, '--', ...args], environment, 'command.log'),
    async killServer(server) {
      const pid = (await findLocalStack(settings))[server]?.pid;
      if (pid === undefined) throw new Error(`${server} does not run`);
      process.kill(pid, 'SIGKILL');
      return monotonicMs();
    },
    async startServers() {
      await open();
    },
    async post(message) {
      await fetch(`${url}/post`, { method: 'POST', body: JSON.stringify(message) });
    },
    async unacknowledged() {
      return ((await (await fetch(`${url}/unacknowledged`)).json()) as { left: number }).left;
    },
    async close() {
      await Promise.all([...children].map(endChild));
      await stopLocalStack(settings);
      await rm((await placeOf(settings, await findPostgresUser())).area, { recursive: true, force: true });
      if (!keep) await rm(folder, { recursive: true, force: true });
    },
  };
}

function toProduct(child: ChildProcess, role: Role, crashAt: string): Product {
  let killed = false;
  const ended = new Promise<{ at: number; expected: boolean }>((resolve) => {
    child.once('exit', (_code, signal) => resolve({ at: monotonicMs(), expected: killed || signal === 'SIGKILL' }));
  });
  const ready = firstLine(child).then(() => {});
  ready.catch(() => {}); // who kills it before does not wait for it
  return {
    role,
    crashAt,
    pid: child.pid ?? 0,
    ready,
    ended,
    async kill() {
      killed = true;
      const at = monotonicMs();
      child.kill('SIGKILL');
      await ended;
      return at;
    },
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
  };
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    const { stdout } = child;
    if (!stdout) return reject(new Error('no stdout'));
    createInterface({ input: stdout }).once('line', resolve);
    child.once('exit', (code, signal) => reject(new Error(`ended before it was ready: ${code ?? signal}`)));
  });
}

async function endChild(child: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL'); // a frozen one, too
  if (child.exitCode === null && child.signalCode === null) await gone;
}

/** In `npm test` the server's binary is known by its path, elsewhere it is found as always. */
async function withTemporal(folder: string): Promise<string> {
  const path = process.env.PATH ?? '';
  const cli = process.env.DURABOT_TEST_TEMPORAL_CLI;
  if (!cli) return path;
  const bin = join(folder, 'bin');
  await mkdir(bin, { recursive: true });
  await symlink(cli, join(bin, 'temporal')).catch(() => {}); // a run that goes on has it
  return [bin, dirname(process.execPath), path].join(':');
}

function configFor(modelUrl: string): string {
  return JSON.stringify({
    agents: { defaults: { provider: 'openai', model: 'scripted' } },
    providers: { openai: { apiKey: 'test', apiBase: modelUrl } },
    tools: { exec: { sandbox: 'off' } },
  });
}
