// The folder of a call, `<dataDir>/exec/<turn>.<call>/`: who may make it, and what its files say about the command.
// It appears complete, by one rename, and is never empty: either a supervisor made it, or somebody who decided that the
// command shall never run. Nobody changes that afterwards.
import { randomBytes } from 'node:crypto';
import { link, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { isAlive } from './processes.mjs';

const supervisorFile = z.object({ bootId: z.string(), pid: z.number(), startTime: z.string(), marker: z.string() });
export type Supervisor = z.infer<typeof supervisorFile>;

const exitFile = z.object({
  /** `not started`: the sandbox or the shell could not be started, `cause` or the error stream says why; the command had no effect. */
  ended: z.enum([
    'by itself',
    'time over',
    'over memory',
    'too many processes',
    'disk almost full',
    'stopped',
    'not started',
  ]),
  exitCode: z.number().nullable(),
  signal: z.string().nullable(),
  cause: z.string().optional(),
  startedAt: z.string(),
  durationMs: z.number().default(0),
  stdoutBytes: z.number().default(0),
  stderrBytes: z.number().default(0),
  timeLimitMs: z.number(),
  limits: z.object({ memoryBytes: z.number(), processes: z.number(), fileBytes: z.number(), minFreeBytes: z.number() }),
  maxOutputChars: z.number(),
});
export type ExitRecord = z.infer<typeof exitFile>;

export type ExecState =
  /** Nothing ran, on this host. */
  | { kind: 'no folder' }
  | { kind: 'running'; supervisor: Supervisor }
  | { kind: 'exited'; exit: ExitRecord }
  /** Its supervisor is gone without an exit file (reboot, kill): it may have happened. */
  | { kind: 'lost'; marker?: string }
  /** A tombstone: it has not run and never will. */
  | { kind: 'never' };

export type FinalExecState = Exclude<ExecState, { kind: 'running' }>;

/** Path of the folder of a call; `key` is `<turn>/<callId>`. Throws on anything that is not such a key. */
export function execFolder(dataDir: string, key: string): string {
  const [, turn, call] = /^([^/\0.][^/\0]*)\/(s\d+\.c\d+)$/.exec(key) ?? [];
  if (turn === undefined || call === undefined) throw new Error(`Not the key of a call: ${key}`);
  return join(dataDir, 'exec', `${turn}.${call}`);
}

/** What became of a call on this host. Looks once, changes nothing. */
export async function lookAtExec(dataDir: string, key: string): Promise<ExecState> {
  const folder = execFolder(dataDir, key);
  const supervisor = await read(folder, 'supervisor.json', supervisorFile);
  const alive = supervisor !== undefined && isAlive(supervisor);
  // After the look at the process: a supervisor that has just ended has written the exit file before.
  const exit = await read(folder, 'exit.json', exitFile);
  if (exit) return { kind: 'exited', exit };
  if (alive) return { kind: 'running', supervisor };
  if (supervisor) return { kind: 'lost', marker: supervisor.marker };
  if (await isThere(join(folder, 'never.json'))) return { kind: 'never' };
  return { kind: (await isThere(folder)) ? 'lost' : 'no folder' };
}

/** A file that is missing, or that a power cut has left without its content, says nothing. */
async function read<T>(folder: string, name: string, schema: z.ZodType<T>): Promise<T | undefined> {
  const text = await readFile(join(folder, name), 'utf8').catch(undefinedIfMissing);
  if (text === undefined) return undefined;
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined; // not JSON: see above
  }
}

async function isThere(path: string): Promise<boolean> {
  return (await stat(path).catch(undefinedIfMissing)) !== undefined;
}

function undefinedIfMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}

/**
 * Decides that the command of this call never runs: a supervisor that comes later finds the folder and ends. Resolves to
 * false when the folder is there already; then look at it. Safe to call again.
 */
export async function makeTombstone(dataDir: string, key: string): Promise<boolean> {
  const folder = execFolder(dataDir, key);
  const fresh = await mkdtemp(join(await execRoot(dataDir), '.new-'));
  await writeFile(join(fresh, 'never.json'), JSON.stringify({ at: new Date().toISOString() }), { mode: 0o600 });
  try {
    await rename(fresh, folder); // refused by a folder with something in it, and none is empty
    return true;
  } catch (error) {
    await rm(fresh, { recursive: true, force: true });
    if (hasCode(error, 'ENOTEMPTY') || hasCode(error, 'EEXIST')) return false;
    throw error;
  }
}

/** All calls with a folder on this host, for a sweep. `changedAt` is when the command began or ended. */
export async function listExecs(dataDir: string): Promise<{ key: string; state: ExecState; changedAt: Date }[]> {
  const names = await readdir(await execRoot(dataDir));
  const found = [];
  for (const name of names) {
    const [, turn, call] = /^([^.].*)\.(s\d+\.c\d+)$/.exec(name) ?? [];
    if (turn === undefined || call === undefined) continue;
    const key = `${turn}/${call}`;
    const folder = await stat(execFolder(dataDir, key)).catch(undefinedIfMissing);
    if (folder) found.push({ key, state: await lookAtExec(dataDir, key), changedAt: folder.mtime });
  }
  return found;
}

/**
 * Forgets a call. Only for calls that have their outcome in the ledger: without its folder a call counts as one that never
 * ran, and would start again. Resolves to false, and removes nothing, while the command runs.
 */
export async function removeExec(dataDir: string, key: string): Promise<boolean> {
  if ((await lookAtExec(dataDir, key)).kind === 'running') return false;
  const away = join(await execRoot(dataDir), `.old-${randomBytes(6).toString('hex')}`);
  await rename(execFolder(dataDir, key), away).catch(undefinedIfMissing); // at once: half a folder would be read as 'lost'
  await rm(away, { recursive: true, force: true });
  return true;
}

/** Removes what somebody killed has left half made or half removed. */
export async function removeStrays(dataDir: string, olderThanMs = 3_600_000): Promise<void> {
  const root = await execRoot(dataDir);
  for (const name of await readdir(root)) {
    if (!name.startsWith('.new-') && !name.startsWith('.old-')) continue;
    const made = await stat(join(root, name)).catch(undefinedIfMissing);
    if (made && Date.now() - made.mtimeMs > olderThanMs) await rm(join(root, name), { recursive: true, force: true });
  }
}

/** Who this host is in the ledger: a random name, made once for a data folder. All processes that share the folder agree on it. */
export async function hostId(dataDir: string): Promise<string> {
  const path = join(await execRoot(dataDir), 'host-id');
  const known = await readFile(path, 'utf8').catch(undefinedIfMissing);
  if (known) return known;
  const fresh = join(await execRoot(dataDir), `.new-${randomBytes(6).toString('hex')}`);
  await writeFile(fresh, randomBytes(12).toString('hex'), { mode: 0o600 });
  // A link is made complete or not at all, and never over another one: the first of several wins.
  await link(fresh, path).catch((error: unknown) => {
    if (!hasCode(error, 'EEXIST')) throw error;
  });
  await rm(fresh);
  return readFile(path, 'utf8');
}

export async function execRoot(dataDir: string): Promise<string> {
  const root = join(dataDir, 'exec');
  await mkdir(root, { recursive: true, mode: 0o700 });
  return root;
}

function hasCode(error: unknown, code: string): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === code;
}
