// The `temporal` program that serves us: the owner's, ours from the cache, the official archive, or built by Go from the
// pinned module beside this file. Each way is tried in this order, and each failure is one line.
import { execFile } from 'node:child_process';
import { mkdir, stat } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { withLock } from './lock.mjs';
import { type Say, StackError, type StackSettings } from './stack-settings.js';
import { buildTemporalCli } from './temporal-build.js';
import { downloadTemporalCli } from './temporal-download.js';
import { pinnedCli } from './temporal-pinned.js';

const execute = promisify(execFile);
const oldestMinor = 8;
/** A build of one's own calls itself 0.0.0-DEV; then the server inside tells its age. 1.31 came with CLI 1.8. */
const oldestServerMinor = 31;

export interface TemporalBinary {
  path: string;
  cliVersion: string;
  /** What the database belongs to: the dev server makes a schema and never migrates one. */
  serverVersion: string;
  from: 'PATH' | 'cache';
}

const platform = `${process.platform}-${process.arch}`;
const suffix = process.platform === 'win32' ? '.exe' : '';

function cachedBinaryPath({ cacheFolder }: Pick<StackSettings, 'cacheFolder'>): string {
  return join(cacheFolder, `temporal-${pinnedCli}-${platform}${suffix}`);
}

/** What is there already; `passedOver` are programs on PATH that are too old. Fetches nothing. */
export async function findTemporalBinary(
  settings: Pick<StackSettings, 'searchPath' | 'cacheFolder'>,
): Promise<{ binary?: TemporalBinary; passedOver: string[] }> {
  const passedOver: string[] = [];
  for (const folder of settings.searchPath.split(delimiter).filter(Boolean)) {
    const path = join(folder, `temporal${suffix}`);
    const versions = await versionsOf(path);
    if (!versions) continue;
    if (isNewEnough(versions)) return { binary: { path, ...versions, from: 'PATH' }, passedOver };
    passedOver.push(
      `${path} is ${versions.cliVersion} with server ${versions.serverVersion}, older than 1.${oldestMinor}`,
    );
  }
  const path = cachedBinaryPath(settings);
  const versions = await versionsOf(path);
  return versions ? { binary: { path, ...versions, from: 'cache' }, passedOver } : { passedOver };
}

/** Finds the program or gets it: the first time this downloads or builds, which may take minutes and says so. */
export async function obtainTemporalBinary(settings: StackSettings, say: Say): Promise<TemporalBinary> {
  const found = await findTemporalBinary(settings);
  if (found.binary) return found.binary;
  for (const line of found.passedOver) say(`Not using ${line}.`);
  const path = cachedBinaryPath(settings);
  await mkdir(settings.cacheFolder, { recursive: true });
  const waiting = (pid: number) =>
    say(`Another start (process ${pid}) is getting the Temporal server; waiting for it.`);
  await withLock(`${path}.lock`, () => fetchOrBuild(path, say), { onWait: waiting });
  const versions = await versionsOf(path);
  if (!versions)
    throw new StackError(
      `${path} does not run on this machine. Delete it, or set TEMPORAL_ADDRESS to a Temporal server.`,
    );
  return { path, ...versions, from: 'cache' };
}

async function fetchOrBuild(path: string, say: Say): Promise<void> {
  if (await versionsOf(path)) return; // got meanwhile by the start that we waited for
  const failures: string[] = [];
  for (const way of [downloadTemporalCli, buildTemporalCli]) {
    try {
      return await way(path, say);
    } catch (error) {
      const failure = error instanceof Error ? error.message : String(error);
      say(failure);
      failures.push(failure);
    }
  }
  throw new StackError(
    `There is no Temporal server. Three ways out: install the Temporal CLI 1.${oldestMinor} or newer so that "temporal" is on PATH (https://docs.temporal.io/cli), install Go 1.26.4 or newer and start again, or set TEMPORAL_ADDRESS to a server that runs. (${failures.join(' ')})`,
  );
}

async function versionsOf(path: string): Promise<{ cliVersion: string; serverVersion: string } | undefined> {
  if (!(await stat(path).catch(() => undefined))?.isFile()) return undefined;
  const output = await execute(path, ['--version'], { timeout: 20_000 }).catch(() => undefined);
  return output && parseVersions(output.stdout);
}

/** "temporal version 1.8.2 (Server 1.31.2, UI 2.50.1)" */
export function parseVersions(text: string): { cliVersion: string; serverVersion: string } | undefined {
  const match = /^temporal version (\S+) \(Server ([\d.]+)/m.exec(text);
  return match?.[1] && match[2] ? { cliVersion: match[1], serverVersion: match[2] } : undefined;
}

export function isNewEnough({ cliVersion, serverVersion }: { cliVersion: string; serverVersion: string }): boolean {
  const ownBuild = cliVersion.startsWith('0.0.0');
  const [major = 0, minor = 0] = (ownBuild ? serverVersion : cliVersion).split('.').map(Number);
  return major > 1 || (major === 1 && minor >= (ownBuild ? oldestServerMinor : oldestMinor));
}
