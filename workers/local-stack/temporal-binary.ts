// The `temporal` program that serves us: the owner's, ours from the cache, the official archive, or built by Go from the
// pinned module beside this file. Each way is tried in this order, and each failure is one line.
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { withLock } from './lock.mjs';
import { type Say, StackError, type StackSettings } from './stack-settings.js';

const execute = promisify(execFile);
const pinned = '1.8.2';
const oldestMinor = 8;
/** A build of one's own calls itself 0.0.0-DEV; then the server inside tells its age. 1.31 came with CLI 1.8. */
const oldestServerMinor = 31;
const connectWithinMs = 4000;
const downloadWithinMs = 10 * 60_000;

/** SHA-256 of the official archives of the pinned version, as its release lists them. */
const archives: Record<string, { name: string; sha256: string }> = {
  'linux-x64': {
    name: 'linux_amd64.tar.gz',
    sha256: 'd8421bda989e6514b4bdb4d63a9012a8a05a806892e881a5aad8510496349a94',
  },
  'linux-arm64': {
    name: 'linux_arm64.tar.gz',
    sha256: '83600a8fac6e3da54093e5da6918d399f501532b9f1172235603f9606f4ac6e4',
  },
  'darwin-x64': {
    name: 'darwin_amd64.tar.gz',
    sha256: '489d7f5420cae02b559774ac23df035141954c33a51dba96f5759a0ddccdf1b6',
  },
  'darwin-arm64': {
    name: 'darwin_arm64.tar.gz',
    sha256: 'dacdc3587682c04cf27e67c8878ca2d755230b6ad63c0c6ebddd7348ae90ed94',
  },
  'win32-x64': {
    name: 'windows_amd64.tar.gz',
    sha256: 'c845948aa4ab3b1a3643f9fea6d1cd691188bc31513de5f2dc5f7eceea25f22a',
  },
  'win32-arm64': {
    name: 'windows_arm64.tar.gz',
    sha256: 'da78339510b1f91a8212ff247940d3b1dd3022ccfa00add400359311f941697e',
  },
};

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
  return join(cacheFolder, `temporal-${pinned}-${platform}${suffix}`);
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
  for (const way of [download, build]) {
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

async function download(path: string, say: Say): Promise<void> {
  const archive = archives[platform];
  if (!archive) throw new Error(`There is no official Temporal CLI for ${platform}.`);
  const url = `https://github.com/temporalio/cli/releases/download/v${pinned}/temporal_cli_${pinned}_${archive.name}`;
  say(`Downloading the Temporal CLI ${pinned} …`);
  const bytes = await fetchWhole(url, say).catch((error: unknown) => {
    throw new Error(`The download of the Temporal CLI failed: ${plainReason(error)}.`);
  });
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  if (sha256 !== archive.sha256)
    throw new Error('The downloaded Temporal CLI has the wrong checksum and was thrown away.');
  // Beside its final place, so that the rename stays on one disk and no half program ever bears the good name.
  const folder = await mkdtemp(`${path}.unpack-`);
  try {
    await writeFile(join(folder, archive.name), bytes);
    await execute('tar', ['-xzf', archive.name, `temporal${suffix}`], { cwd: folder });
    await chmod(join(folder, `temporal${suffix}`), 0o755);
    await rename(join(folder, `temporal${suffix}`), path);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

// Silence at the beginning means that the way is closed, and the next one should not wait; a slow line is only slow.
async function fetchWhole(url: string, say: Say): Promise<Buffer> {
  const gaveUp = new AbortController();
  const tooSlow = setTimeout(
    () => gaveUp.abort(new Error(`no answer within ${connectWithinMs / 1000} s`)),
    connectWithinMs,
  );
  const signal = AbortSignal.any([gaveUp.signal, AbortSignal.timeout(downloadWithinMs)]);
  try {
    const response = await fetch(url, { signal });
    clearTimeout(tooSlow);
    if (!response.ok || !response.body) throw new Error(`the server answered ${response.status}`);
    return await readWithProgress(response.body, Number(response.headers.get('content-length')), say);
  } finally {
    clearTimeout(tooSlow);
  }
}

async function readWithProgress(body: AsyncIterable<Uint8Array>, total: number, say: Say): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let received = 0;
  let toldAt = performance.now();
  for await (const chunk of body) {
    chunks.push(chunk);
    received += chunk.length;
    if (performance.now() - toldAt < 3000) continue;
    toldAt = performance.now();
    say(`Downloading the Temporal CLI: ${megabytes(received)}${total ? ` of ${megabytes(total)}` : ''} MB`);
  }
  return Buffer.concat(chunks);
}

function megabytes(bytes: number): string {
  return (bytes / 1_000_000).toFixed(0);
}

function plainReason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause;
  return cause instanceof Error ? cause.message || error.message : error.message;
}

/** `go install …@version` refuses this module for its `replace`, so a module of our own pins it. */
async function build(path: string, say: Say): Promise<void> {
  await execute('go', ['version']).catch(() => {
    throw new Error('Go is not installed, so the Temporal CLI cannot be built here.');
  });
  say(`Building the Temporal CLI ${pinned} with Go; this happens once and takes a few minutes …`);
  const draft = `${path}.${process.pid}.building`;
  try {
    await runGo(
      [
        'build',
        '-mod=readonly',
        '-trimpath',
        '-ldflags',
        `-s -w -X github.com/temporalio/cli/internal/temporalcli.Version=${pinned}`,
        '-o',
        draft,
        'github.com/temporalio/cli/cmd/temporal',
      ],
      say,
    );
    await rename(draft, path);
  } finally {
    await rm(draft, { force: true });
  }
}

function runGo(args: string[], say: Say): Promise<void> {
  return new Promise((resolve, reject) => {
    const began = performance.now();
    const still = setInterval(
      () => say(`Building the Temporal CLI: ${((performance.now() - began) / 1000).toFixed(0)} s so far`),
      15_000,
    );
    const cwd = fileURLToPath(new URL('./temporal-cli/', import.meta.url));
    const child = spawn('env', ['CGO_ENABLED=0', 'GOFLAGS=-buildvcs=false', 'go', ...args], {
      cwd,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let output = '';
    let toldAt = 0;
    child.stderr.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString('utf8')).slice(-4000);
      // Go names each module that it downloads: one of them a second is enough to see that it moves.
      const line = chunk.toString('utf8').trim().split('\n').at(-1);
      if (line && performance.now() - toldAt > 1000) say(`  ${line}`);
      if (line) toldAt = performance.now();
    });
    child.once('error', reject);
    child.once('close', (code) => {
      clearInterval(still);
      if (code === 0) resolve();
      else
        reject(new Error(`Go could not build the Temporal CLI: ${output.trim().split('\n').at(-1) ?? `exit ${code}`}`));
    });
  });
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
