// Our own PostgreSQL: made, started, adopted, repaired and stopped here. It runs as a detached direct child and outlives
// us; `durabot down` stops it. What stands in postmaster.pid is judged in postgres-decide.ts.
import { rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readIfThere } from './files.js';
import { withLock } from './lock.mjs';
import { binariesFor, findPostgresUser } from './postgres-binaries.js';
import { factsOf, initialise, keepAside, readPassword, readPidFile } from './postgres-cluster.js';
import { decidePostgres, isOurServer, type PidFile } from './postgres-decide.js';
import { makeArea, type PostgresPlace, placeOf } from './postgres-place.js';
import { becomesReady, startServer, stopServer, urlOf, whyNotReady } from './postgres-server.js';
import { isAlive } from './processes.mjs';
import { sayWhenSlow } from './slow.js';
import { type Origin, type Say, StackError, type StackSettings } from './stack-settings.js';

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
    const failure = await whyNotReady(settings.databaseUrl);
    if (failure) {
      throw new StackError(
        `The PostgreSQL of DATABASE_URL cannot be used: ${failure.message}. Start it, or correct DATABASE_URL.`,
      );
    }
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
        if (await becomesReady(databaseUrl, () => isAlive(decision.pidFile.pid))) {
          return { databaseUrl, origin: 'adopted', pid: decision.pidFile.pid };
        }
        break; // it was just ending: look again
      }
      case 'start':
        if (decision.removePidFile) {
          say('A stale pid file of PostgreSQL names another program; removing it.');
          await rm(join(place.cluster, 'postmaster.pid'), { force: true });
        }
        return {
          ...(await startServer({ settings, place, binaries, password: await readPassword(place), say, withoutSync })),
          origin: 'started',
        };
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
