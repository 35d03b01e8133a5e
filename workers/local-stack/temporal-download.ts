// The official archive of the Temporal CLI, checked before it is unpacked.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Say } from './stack-settings.js';
import { pinnedCli } from './temporal-pinned.js';

const execute = promisify(execFile);
const connectWithinMs = 4000;
const downloadWithinMs = 10 * 60_000;
const platform = `${process.platform}-${process.arch}`;
const programName = process.platform === 'win32' ? 'temporal.exe' : 'temporal';

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

/** Rejects within seconds when the way to it is closed; a slow line is waited for. */
export async function downloadTemporalCli(path: string, say: Say): Promise<void> {
  const archive = archives[platform];
  if (!archive) throw new Error(`There is no official Temporal CLI for ${platform}.`);
  const url = `https://github.com/temporalio/cli/releases/download/v${pinnedCli}/temporal_cli_${pinnedCli}_${archive.name}`;
  say(`Downloading the Temporal CLI ${pinnedCli} …`);
  const bytes = await fetchWhole(url, say).catch((error: unknown) => {
    throw new Error(`The download of the Temporal CLI failed: ${plainReason(error)}.`);
  });
  await installArchive({ bytes, sha256: archive.sha256, path });
}

/** Unpacks the program of a checked archive to `path`; a wrong archive leaves nothing there. */
export async function installArchive({
  bytes,
  sha256,
  path,
}: {
  bytes: Buffer;
  sha256: string;
  path: string;
}): Promise<void> {
  if (createHash('sha256').update(bytes).digest('hex') !== sha256) {
    throw new Error('The downloaded Temporal CLI has the wrong checksum and was thrown away.');
  }
  // Beside its final place, so that the rename stays on one disk and no half program ever bears the good name.
  const folder = await mkdtemp(`${path}.unpack-`);
  try {
    await writeFile(join(folder, 'archive.tar.gz'), bytes);
    await execute('tar', ['-xzf', 'archive.tar.gz', programName], { cwd: folder });
    await chmod(join(folder, programName), 0o755);
    await rename(join(folder, programName), path);
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
