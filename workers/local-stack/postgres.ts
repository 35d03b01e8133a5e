// Our own PostgreSQL: made, started, adopted, repaired and stopped here. It runs as a detached direct child and outlives
// us; `durabot down` stops it. What stands in postmaster.pid is judged in postgres-decide.ts.
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chown, mkdir, open, readFile, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import { isMissing, readIfThere, replaceFile } from './files.js';
import { withLock } from './lock.mjs';
import { choosePort, rememberPorts } from './ports.js';
import { binariesFor, findPostgresUser, type PostgresBinaries } from './postgres-binaries.js';
import {
  decideFailedStart,
  decidePostgres,
  isOurServer,
  type PidFile,
  type PostgresFacts,
  parsePidFile,
} from './postgres-decide.js';
import { makeArea, type PostgresPlace, placeOf, socketFolder } from './postgres-place.js';
import { commandLineOf, isAlive } from './processes.mjs';
import { sayWhenSlow } from './slow.js';
import { type Origin, type Say, StackError, type StackSettings } from './stack-settings.js';

const execute = promisify(execFile);
const readyWithinMs = 60_000;
const oldBackEndsWithinMs = 10_000;
const stopWithinMs = 15_000;
const killWithinMs = 5000;
const superuser = 'durabot';

export interface OpenPostgres {
  databaseUrl: string;
  origin: Origin;
  pid?: number;
}

export interface PostgresOptions {
  settings: StackSettings;
  say: Say;
  /** Tests only: quick, and a power cut loses data. */
  withoutSync?: boolean;
}

/** Repeatable: the second call finds what the first one started. Rejects with StackError, whose message is for the person. */
export async function openPostgres({ settings, say, withoutSync = false }: PostgresOptions): Promise<OpenPostgres> {
  if (settings.databaseUrl) {
    await waitUntilReady(settings.databaseUrl, 'given', () => undefined);
    return { databaseUrl: settings.databaseUrl, origin: 'given' };
  }
  const waiting = (pid: number) => say(`Another start (process ${pid}) is opening PostgreSQL; waiting for it.`);
  return withLock(join(settings.home, 'run', 'postgres.lock'), () => openOurs({ settings, say, withoutSync }), {
    onWait: waiting,
  });
}

async function openOurs({ settings, say, withoutSync }: Required<PostgresOptions>): Promise<OpenPostgres> {
  const place = await placeOf(settings, await findPostgresUser());
  const binaries = await binariesFor(place.user, say);
  await makeArea(place);
  for (;;) {
    const decision = decidePostgres(await factsOf(place, binaries));
    switch (decision.kind) {
      case 'adopt': {
        const databaseUrl = urlOf(decision.pidFile, await readPassword(place));
        await waitUntilReady(databaseUrl, 'ours', () => isAlive(decision.pidFile.pid));
        return { databaseUrl, origin: 'adopted', pid: decision.pidFile.pid };
      }
      case 'start':
        if (decision.removePidFile) {
          say('A stale pid file of PostgreSQL names another program; removing it.');
          await rm(join(place.cluster, 'postmaster.pid'), { force: true });
        }
        return start({ settings, place, binaries, say, withoutSync });
      case 'initialise':
        if (decision.removeDraft) say('A database that was given up half-way is made anew.');
        await sayWhenSlow(say, 'Making the database', () => initialise(place, binaries, withoutSync));
        break;
      case 'keep aside':
        if (decision.stopFirst !== undefined) await stopServer(decision.stopFirst);
        await keepAside(place, say);
        break;
      case 'refuse':
        throw new StackError(decision.sentence);
      default:
        decision satisfies never;
    }
  }
}

/** What runs now, without starting anything; undefined when nothing of ours does. */
export async function findPostgres(settings: StackSettings): Promise<OpenPostgres | undefined> {
  if (settings.databaseUrl) return { databaseUrl: settings.databaseUrl, origin: 'given' };
  const { place, pidFile } = await findServer(settings);
  const password = place && (await readIfThere(place.passwordFile));
  if (!pidFile || !password) return undefined;
  return { databaseUrl: urlOf(pidFile, password), origin: 'adopted', pid: pidFile.pid };
}

/** Ends our own server and no other; answers with its pid, or undefined when none ran. */
export async function stopPostgres(settings: StackSettings): Promise<number | undefined> {
  return withLock(join(settings.home, 'run', 'postgres.lock'), async () => {
    const { pidFile } = await findServer(settings);
    if (!pidFile) return undefined;
    await stopServer(pidFile.pid);
    if (pidFile.socketFolder) await rmdir(pidFile.socketFolder).catch(() => undefined); // only tidiness: it is found again or made anew
    return pidFile.pid;
  });
}

async function findServer(settings: StackSettings): Promise<{ place?: PostgresPlace; pidFile?: PidFile }> {
  const place = await placeOf(settings, await findPostgresUser());
  const pidFile = await readPidFile(place.cluster);
  return pidFile && isOurServer({ pidFile, cluster: place.cluster }) ? { place, pidFile } : { place };
}

// SIGINT cuts clients and ends in a fraction of a second. SIGTERM would wait for the last client, which may be for ever.
async function stopServer(pid: number): Promise<void> {
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

async function factsOf(place: PostgresPlace, binaries: PostgresBinaries): Promise<PostgresFacts> {
  return {
    cluster: place.cluster,
    clusterMajor: (await readIfThere(join(place.cluster, 'PG_VERSION')))?.trim(),
    programsMajor: binaries.version.split('.')[0] ?? '',
    draft: await isThere(place.draft),
    hasPassword: await isThere(place.passwordFile),
    pidFile: await readPidFile(place.cluster),
  };
}

async function readPidFile(cluster: string): Promise<PostgresFacts['pidFile']> {
  const pidFile = parsePidFile((await readIfThere(join(cluster, 'postmaster.pid'))) ?? '');
  return pidFile && { ...pidFile, alive: await isAlive(pidFile.pid), commandLine: await commandLineOf(pidFile.pid) };
}

// Made beside its place and renamed when whole, so that a half-made cluster is known by its name.
async function initialise(place: PostgresPlace, binaries: PostgresBinaries, withoutSync: boolean): Promise<void> {
  await rm(place.draft, { recursive: true, force: true });
  if (await isThere(place.cluster)) await rename(place.cluster, `${place.cluster}.broken-${Date.now()}`); // no PG_VERSION: not a cluster
  const password = randomBytes(24).toString('base64url');
  await replaceFile(place.passwordFile, password);
  const forInitdb = join(place.area, 'password.once');
  await writeFile(forInitdb, password, { mode: 0o600 });
  if (place.user) await chown(forInitdb, place.user.uid, place.user.gid);
  try {
    await execute(
      binaries.initdb,
      [
        '-D',
        place.draft,
        `--username=${superuser}`,
        `--pwfile=${forInitdb}`,
        '--auth-local=scram-sha-256',
        '--auth-host=scram-sha-256',
        '--encoding=UTF8',
        // Sorts by code point and depends on no library of the system: an upgrade of the system breaks no index.
        '--locale=C',
        '--locale-provider=builtin',
        '--builtin-locale=C.UTF-8',
        ...(withoutSync ? ['--no-sync'] : []),
      ],
      { ...asUser(place), cwd: place.area, env: serverEnvironment },
    );
  } catch (error) {
    const detail = String((error as { stderr?: string }).stderr ?? error)
      .trim()
      .split('\n')
      .at(-1);
    throw new StackError(
      `The database in ${place.area} could not be made: ${detail}. Check space and permissions there, or set DATABASE_URL.`,
    );
  } finally {
    await rm(forInitdb, { force: true });
  }
  await rename(place.draft, place.cluster);
}

interface Start {
  settings: StackSettings;
  place: PostgresPlace;
  binaries: PostgresBinaries;
  say: Say;
  withoutSync: boolean;
}

async function start(wanted: Start): Promise<OpenPostgres> {
  const { settings, place, say } = wanted;
  const sockets = await socketFolder(settings, place.user);
  const password = await readPassword(place);
  const givenUpAt = performance.now() + oldBackEndsWithinMs;
  const refused: number[] = [];
  for (;;) {
    const port = sockets ? 5432 : await tcpPort(settings, refused, say);
    if (sockets) await removeStaleSocket(sockets);
    const server = await spawnServer(wanted, sockets, port);
    const databaseUrl = urlOf({ port, socketFolder: sockets ?? '' }, password);
    const ready = sayWhenSlow(say, 'Starting PostgreSQL', () => waitUntilReady(databaseUrl, 'ours', server.runs));
    if (await ready.then(() => true, rethrowUnlessEnded)) return { databaseUrl, origin: 'started', pid: server.pid };
    const log = await server.logged();
    const cause = decideFailedStart(log);
    // After a SIGKILL of the server its back ends live on for a moment, and it must not start beside them.
    if (cause === 'old back ends still live' && performance.now() < givenUpAt) await pause(150);
    else if (cause === 'port taken' && refused.length < 10) refused.push(port);
    else throw new StackError(`PostgreSQL did not start: ${lastLine(log)} (all of it: ${place.log})`);
  }
}

class ServerEnded extends Error {}

function rethrowUnlessEnded(error: unknown): false {
  if (error instanceof ServerEnded) return false;
  throw error;
}

async function spawnServer({ place, binaries, withoutSync }: Start, sockets: string | undefined, port: number) {
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

/** Ready is a server that lets us in. One that recovers, or is just starting, is asked again. */
async function waitUntilReady(databaseUrl: string, whose: 'ours' | 'given', runs: () => unknown): Promise<void> {
  const until = performance.now() + (whose === 'ours' ? readyWithinMs : 0);
  for (;;) {
    const failure = await tryToConnect(databaseUrl);
    if (failure === undefined) return;
    const code = (failure as { code?: string }).code ?? '';
    if (whose === 'given')
      throw new StackError(
        `The PostgreSQL of DATABASE_URL cannot be used: ${failure.message}. Start it, or correct DATABASE_URL.`,
      );
    if (code.startsWith('28'))
      throw new StackError(
        'Our own PostgreSQL does not accept the password in data/postgres-password. Restore that file.',
      );
    if (!(await runs())) throw new ServerEnded();
    if (performance.now() > until)
      throw new StackError(`PostgreSQL does not answer after ${readyWithinMs / 1000} s: ${failure.message}`);
    await pause(25);
  }
}

/** Does it let us in now? Never throws. */
export async function isPostgresReady(databaseUrl: string): Promise<boolean> {
  return (await tryToConnect(databaseUrl)) === undefined;
}

async function tryToConnect(connectionString: string): Promise<Error | undefined> {
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: 5000 });
  client.on('error', () => undefined); // the connection is only a question; its end is no event
  try {
    await client.connect();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function keepAside(place: PostgresPlace, say: Say): Promise<void> {
  const aside = `${place.cluster}.kept-${new Date().toISOString().replace(/[:.]/g, '-')}`;
  await rename(place.cluster, aside);
  say(
    `The database in ${place.cluster} has no password file here any more (${place.passwordFile}); it is kept as ${aside}, and an empty one is made.`,
  );
}

function urlOf({ port, socketFolder: folder }: Pick<PidFile, 'port' | 'socketFolder'>, password: string): string {
  const at = folder
    ? `localhost/postgres?host=${encodeURIComponent(folder)}&port=${port}`
    : `127.0.0.1:${port}/postgres`;
  return `postgresql://${superuser}:${password}@${at}`;
}

async function readPassword(place: PostgresPlace): Promise<string> {
  return (await readFile(place.passwordFile, 'utf8')).trim();
}

function asUser({ user }: PostgresPlace): { uid?: number; gid?: number } {
  return user ? { uid: user.uid, gid: user.gid } : {};
}

// Nothing of ours: our environment holds the owner's keys.
const serverEnvironment = { LC_ALL: 'C', TZ: 'UTC', PATH: '/usr/local/bin:/usr/bin:/bin' };

function lastLine(log: string): string {
  return (
    log
      .trim()
      .split('\n')
      .at(-1)
      ?.replace(/^.*?(FATAL|LOG|ERROR):\s*/, '') || 'it said nothing'
  );
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}
