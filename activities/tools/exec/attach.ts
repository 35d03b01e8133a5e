// Starting a command, following it and ending it, from any process of its host and as often as one likes: all that is known of
// it stands in its folder. None of this asks the store; who may do what is for the caller to know.
import { spawn } from 'node:child_process';
import { watch } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { execFolder, execRoot, type FinalExecState, lookAtExec, makeTombstone, type Supervisor } from './folder.js';
import type { CommandOrder, Job } from './job.js';
import { carriersOf, isAlive } from './processes.mjs';

const supervisorPath = fileURLToPath(new URL('./supervisor.mjs', import.meta.url));
const followMs = 100;
/** A supervisor needs 1 s between SIGTERM and SIGKILL; after this it is taken for frozen. */
const stopMs = 1600;

/**
 * Starts the command unless the call has a folder. Resolves when it has one: look at it to learn whose. Several may start the
 * same call at once, the command runs once. Rejects when no supervisor could be started: nothing ran, try again.
 */
export async function startOrAttach(dataDir: string, key: string, order: CommandOrder): Promise<void> {
  await execRoot(dataDir);
  if ((await lookAtExec(dataDir, key)).kind !== 'no folder') return;
  const job: Job = { ...order, folder: execFolder(dataDir, key) };
  const complaint = await launch(job);
  if ((await lookAtExec(dataDir, key)).kind === 'no folder')
    throw new Error(`The supervisor did not start: ${complaint}`);
}

/** Resolves when the folder is decided. The supervisor is given nothing of our environment, where the secrets are. */
function launch(job: Job): Promise<string> {
  return new Promise((resolve, reject) => {
    const supervisor = spawn(process.execPath, ['--max-old-space-size=64', supervisorPath], {
      cwd: '/',
      env: {},
      detached: true, // a session of its own: it does not hear what ends ours
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    supervisor.on('error', reject);
    supervisor.once('exit', (code) => resolve(`it ended with code ${code}`));
    supervisor.stdin.on('error', () => {}); // it died while it was told its job; its exit tells
    supervisor.stdin.end(JSON.stringify(job));
    supervisor.stdout.setEncoding('utf8').once('data', (complaint) => {
      supervisor.unref(); // from now on it does without us, and we must not wait for it
      for (const pipe of [supervisor.stdin, supervisor.stdout]) pipe.destroy();
      resolve(complaint);
    });
  });
}

/**
 * Waits for the end of the command, however long it takes. Rejects with the signal's reason when that aborts; the command goes
 * on. Any number of processes may follow the same call.
 */
export async function followExec(dataDir: string, key: string, signal: AbortSignal): Promise<FinalExecState> {
  const exitFile = waitForExitFile(execFolder(dataDir, key));
  try {
    for (;;) {
      signal.throwIfAborted();
      const state = await lookAtExec(dataDir, key);
      if (state.kind !== 'running') return state;
      await Promise.race([exitFile.appears, delay(followMs, undefined, { signal }).catch(() => {})]); // aborted: the loop throws
    }
  } finally {
    exitFile.close();
  }
}

/** Only makes following quicker: a system without watches left is polled. */
function waitForExitFile(folder: string): { appears: Promise<void>; close(): void } {
  let close = () => {};
  const appears = new Promise<void>((resolve) => {
    try {
      const watcher = watch(folder, (_event, name) => {
        if (name === 'exit.json') resolve();
      });
      watcher.on('error', () => watcher.close());
      close = () => watcher.close();
    } catch {
      // no folder, or no watches left: the caller looks at intervals anyway
    }
  });
  return { appears, close };
}

/**
 * Ends the command with everything that it started, within 2 s: SIGTERM, after 1 s SIGKILL. Resolves to what stands then; the
 * output so far is kept. A supervisor that does not react is killed, and its sandbox with it: 'lost'. Safe to call again, and
 * for calls that have ended: what a killed supervisor has left behind is ended, too.
 */
export async function endExec(dataDir: string, key: string): Promise<FinalExecState> {
  const before = await lookAtExec(dataDir, key);
  if (before.kind === 'running') {
    kill(before.supervisor, 'SIGTERM');
    const ended = await followExec(dataDir, key, AbortSignal.timeout(stopMs)).catch(() => undefined);
    if (ended && ended.kind !== 'lost') return ended;
    kill(before.supervisor, 'SIGKILL');
  }
  const marker =
    before.kind === 'running' ? before.supervisor.marker : before.kind === 'lost' ? before.marker : undefined;
  if (marker) await endCarriers(marker);
  return followExec(dataDir, key, AbortSignal.timeout(stopMs));
}

/** The same for a call that is to be closed: where nothing has begun, nothing will. */
export async function endOrEntomb(dataDir: string, key: string): Promise<FinalExecState> {
  await makeTombstone(dataDir, key); // refused when there is something to end
  return endExec(dataDir, key);
}

function kill(supervisor: Supervisor, signal: 'SIGTERM' | 'SIGKILL'): void {
  if (isAlive(supervisor)) send(supervisor.pid, signal);
}

/** In rounds, since a carrier may be forking. */
async function endCarriers(marker: string): Promise<void> {
  for (let round = 0; round < 20; round++) {
    const carriers = carriersOf(marker);
    if (carriers.length === 0) return;
    for (const pid of carriers) send(pid, 'SIGKILL');
    await delay(10);
  }
}

function send(pid: number, signal: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(pid, signal);
  } catch {
    // gone meanwhile, or not ours to end
  }
}
