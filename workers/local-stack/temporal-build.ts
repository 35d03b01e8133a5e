// The Temporal CLI, built by Go from the pinned module beside this file.
import { execFile, spawn } from 'node:child_process';
import { rename, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Say } from './stack-settings.js';
import { pinnedCli } from './temporal-pinned.js';

const execute = promisify(execFile);

/** `go install …@version` refuses this module for its `replace`, so a module of our own pins it. */
export async function buildTemporalCli(path: string, say: Say): Promise<void> {
  await execute('go', ['version']).catch(() => {
    throw new Error('Go is not installed, so the Temporal CLI cannot be built here.');
  });
  say(`Building the Temporal CLI ${pinnedCli} with Go; this happens once and takes a few minutes …`);
  const draft = `${path}.${process.pid}.building`;
  try {
    await runGo(
      [
        'build',
        '-mod=readonly',
        '-trimpath',
        '-ldflags',
        `-s -w -X github.com/temporalio/cli/internal/temporalcli.Version=${pinnedCli}`,
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
