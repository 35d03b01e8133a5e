// Starts `durabot serve` as a process of its own that stays when this one leaves.
import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { CommandFailure } from './command.js';
import type { Config } from './config.js';

const readyWithinMs = 30_000;

/** Resolves with its process id when `isReady` says so. Rejects with a sentence when it ends before. */
export async function startServeInBackground(config: Config, isReady: () => Promise<boolean>): Promise<number> {
  const logs = join(config.home, 'logs');
  mkdirSync(logs, { recursive: true, mode: 0o700 });
  const output = openSync(join(logs, 'serve.log'), 'a', 0o600);
  const args = config.configFileExists ? ['--config', config.configPath, 'serve'] : ['serve'];
  const child = spawn(process.execPath, [script(), ...args], { detached: true, stdio: ['ignore', output, output] });
  closeSync(output);
  let ended = false;
  child.once('exit', () => {
    ended = true;
  });
  child.once('error', () => {
    ended = true;
  });
  child.unref();
  const until = performance.now() + readyWithinMs;
  while (performance.now() < until) {
    if (await isReady()) return child.pid ?? 0;
    if (ended)
      throw new CommandFailure(
        `"durabot serve" did not start; ${join(logs, 'serve.log')} says why. The message is kept and will be answered.`,
      );
    await pause(50);
  }
  throw new CommandFailure(`"durabot serve" does not answer after ${readyWithinMs / 1000} s. See "durabot doctor".`);
}

/** The command itself, as it lies beside the sources; in dist/ one folder further up. */
function script(): string {
  const here = fileURLToPath(new URL('./durabot.mjs', import.meta.url));
  return existsSync(here) ? here : fileURLToPath(new URL('../../workers/durabot.mjs', import.meta.url));
}
