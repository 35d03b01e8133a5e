// The database folder: what is found there, and how one is made.
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chown, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { isMissing, readIfThere, replaceFile } from './files.js';
import type { PostgresBinaries } from './postgres-binaries.js';
import { type PostgresFacts, parsePidFile } from './postgres-decide.js';
import { asUser, type PostgresPlace } from './postgres-place.js';
import { serverEnvironment, superuser } from './postgres-server.js';
import { commandLineOf, isAlive } from './processes.mjs';
import { type Say, StackError } from './stack-settings.js';

const execute = promisify(execFile);

export async function factsOf(place: PostgresPlace, binaries: PostgresBinaries): Promise<PostgresFacts> {
  return {
    cluster: place.cluster,
    clusterMajor: (await readIfThere(join(place.cluster, 'PG_VERSION')))?.trim(),
    programsMajor: binaries.version.split('.')[0] ?? '',
    draft: await isThere(place.draft),
    hasPassword: await isThere(place.passwordFile),
    pidFile: await readPidFile(place.cluster),
  };
}

export async function readPidFile(cluster: string): Promise<PostgresFacts['pidFile']> {
  const pidFile = parsePidFile((await readIfThere(join(cluster, 'postmaster.pid'))) ?? '');
  return pidFile && { ...pidFile, alive: await isAlive(pidFile.pid), commandLine: await commandLineOf(pidFile.pid) };
}

// Made beside its place and renamed when whole, so that a half-made cluster is known by its name.
export async function initialise(
  place: PostgresPlace,
  binaries: PostgresBinaries,
  withoutSync: boolean,
): Promise<void> {
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

export async function keepAside(place: PostgresPlace, say: Say): Promise<void> {
  const aside = `${place.cluster}.kept-${new Date().toISOString().replace(/[:.]/g, '-')}`;
  await rename(place.cluster, aside);
  say(
    `The database in ${place.cluster} has no password file here any more (${place.passwordFile}); it is kept as ${aside}, and an empty one is made.`,
  );
}

export async function readPassword(place: PostgresPlace): Promise<string> {
  return (await readFile(place.passwordFile, 'utf8')).trim();
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
