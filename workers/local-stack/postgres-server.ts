// The running server: started as a detached direct child, asked whether it lets us in, and stopped.
import { spawn } from 'node:child_process';
import { mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { errorCode } from './files.js';
import { choosePort, rememberPorts } from './ports.js';
import type { PostgresBinaries } from './postgres-binaries.js';
import { decideFailedStart, type PidFile } from './postgres-decide.js';
import { asUser, type PostgresPlace, socketFolder } from './postgres-place.js';
import { isAlive } from './processes.mjs';
import { trimLog } from './server-log.js';
import { sayWhenSlow } from './slow.js';
import { type Say, StackError, type StackSettings } from './stack-settings.js';

const readyWithinMs = 60_000;
const oldBackEndsWithinMs = 10_000;
const stopWithinMs = 15_000;
const killWithinMs = 5000;
export const superuser = 'durabot';

// Nothing of ours: our environment holds the owner's keys.
export const serverEnvironment = { LC_ALL: 'C', TZ: 'UTC', PATH: '/usr/local/bin:/usr/bin:/bin' };

export interface ServerStart {
  settings: StackSettings;
  place: PostgresPlace;
  password: string;
  binaries: PostgresBinaries;
  say: Say;
  withoutSync: boolean;
}

/** Starts the server and waits until it lets us in. Rejects with what its log says when it does not. */
export async function startServer(wanted: ServerStart): Promise<{ databaseUrl: string; pid: number }> {
  const { settings, place, password, say } = wanted;
  await trimLog(place.log);
  const sockets = await socketFolder(settings, place.user);
  const givenUpAt = performance.now() + oldBackEndsWithinMs;
  const refused: number[] = [];
  for (;;) {
    const port = sockets ? 5432 : await tcpPort(settings, refused, say);
    if (sockets) await removeStaleSocket(sockets);
    const server = await spawnServer(wanted, sockets, port);
    const databaseUrl = urlOf({ port, socketFolder: sockets ?? '' }, password);
    const ready = await sayWhenSlow(say, 'Starting PostgreSQL', () => becomesReady(databaseUrl, server.runs));
    if (ready) return { databaseUrl, pid: server.pid };
    const log = await server.logged();
    const cause = decideFailedStart(log);
    // After a SIGKILL of the server its back ends live on for a moment, and it must not start beside them.
    if (cause === 'old back ends still live' && performance.now() < givenUpAt) await pause(150);
    else if (cause === 'port taken' && refused.length < 10) refused.push(port);
    else throw new StackError(`PostgreSQL did not start: ${lastLine(log)} (all of it: ${place.log})`);
  }
}

async function spawnServer({ place, binaries, withoutSync }: ServerStart, sockets: string | undefined, port: number) {
  await mkdir(join(place.log, '..'), { recursive: true, mode: 0o700 });
  const log = await open(place.log, 'a', 0o600); // a pipe would fill up when we are gone, and stop the server
  const { size: logStart } = await log.stat();
  const settingsOfServer = {
    listen_addresses: sockets ? '' : '127.0.0.1',
    shared_buffers: '32MB',
    max_connections: withoutSync ? '300' : '40',
    jit: 'off',
    max_wal_size: '256MB',
    timezone: 'UTC',
    log_timezone: 'UTC',
    ...(withoutSync ? { fsync: 'off', full_page_writes: 'off', synchronous_commit: 'off' } : {}),
  };
  const child = spawn(
    binaries.postgres,
    [
      '-D',
      place.cluster,
      '-p',
      String(port),
      '-k',
      sockets ?? '',
      ...Object.entries(settingsOfServer).flatMap(([key, value]) => ['-c', `${key}=${value}`]),
    ],
    // Detached, so that Ctrl-C in the terminal does not take the database from under the turn that is being closed.
    { ...asUser(place), cwd: place.area, env: serverEnvironment, detached: true, stdio: ['ignore', log.fd, log.fd] },
  );
  let ended = false;
  child.once('exit', () => {
    ended = true;
  });
  child.once('error', () => {
    ended = true;
  });
  child.unref();
  await log.close();
  return {
    pid: child.pid ?? 0,
    runs: () => !ended,
    logged: async () => (await readFile(place.log)).subarray(logStart).toString('utf8'),
  };
}

// SIGINT cuts clients and ends in a fraction of a second. SIGTERM would wait for the last client, which may be for ever.
export async function stopServer(pid: number): Promise<void> {
  process.kill(pid, 'SIGINT');
  if (await endsWithin(pid, stopWithinMs)) return;
  process.kill(pid, 'SIGQUIT'); // without a checkpoint: the next start recovers from the log
  if (!(await endsWithin(pid, killWithinMs)))
    throw new StackError(`PostgreSQL (process ${pid}) does not stop. End it by hand: kill -9 ${pid}`);
}

async function endsWithin(pid: number, ms: number): Promise<boolean> {
  const until = performance.now() + ms;
  while (await isAlive(pid)) {
    if (performance.now() > until) return false;
    await pause(20);
  }
  return true;
}

// No server of ours runs on this folder now, so a socket in it is a leftover; its lock file may name a pid that was given out again.
async function removeStaleSocket(folder: string): Promise<void> {
  await rm(join(folder, '.s.PGSQL.5432'), { force: true });
  await rm(join(folder, '.s.PGSQL.5432.lock'), { force: true });
}

async function tcpPort(settings: StackSettings, refused: number[], say: Say): Promise<number> {
  const { port, taken } = await choosePort(settings.home, 'postgres', refused);
  if (taken !== undefined) say(`Port ${taken} of PostgreSQL is taken by another program; using ${port} from now on.`);
  await rememberPorts(settings.home, { postgres: port });
  return port;
}

/** Ready is a server that lets us in; one that recovers, or is just starting, is asked again. False when it has ended. */
export async function becomesReady(databaseUrl: string, runs: () => boolean | Promise<boolean>): Promise<boolean> {
  const until = performance.now() + readyWithinMs;
  for (;;) {
    const failure = await whyNotReady(databaseUrl);
    if (!failure) return true;
    if (failure.code.startsWith('28')) {
      throw new StackError(
        'Our own PostgreSQL does not accept the password in data/postgres-password. Restore that file.',
      );
    }
    if (!(await runs())) return false;
    if (performance.now() > until) {
      throw new StackError(`PostgreSQL does not answer after ${readyWithinMs / 1000} s: ${failure.message}`);
    }
    await pause(25);
  }
}

/** Undefined: it lets us in now. Never throws. */
export async function whyNotReady(connectionString: string): Promise<{ message: string; code: string } | undefined> {
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: 5000 });
  client.on('error', () => undefined); // the connection is only a question; its end is no event
  try {
    await client.connect();
    return undefined;
  } catch (error) {
    const code = errorCode(error) ?? '';
    return { code, message: (error instanceof Error && error.message) || code }; // a refused connection has a code and no words
  } finally {
    await client.end().catch(() => undefined);
  }
}

export function urlOf(
  { port, socketFolder: folder }: Pick<PidFile, 'port' | 'socketFolder'>,
  password: string,
): string {
  const at = folder
    ? `localhost/postgres?host=${encodeURIComponent(folder)}&port=${port}`
    : `127.0.0.1:${port}/postgres`;
  return `postgresql://${superuser}:${password}@${at}`;
}

function lastLine(log: string): string {
  return (
    log
      .trim()
      .split('\n')
      .at(-1)
      ?.replace(/^.*?(FATAL|LOG|ERROR):\s*/, '') || 'it said nothing'
  );
}
