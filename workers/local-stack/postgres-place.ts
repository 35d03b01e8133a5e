// Where the PostgreSQL of a home lies. As root the home is usually closed to everybody else, so the cluster lies in a
// folder of its own under /var/lib/durabot, named after the home: two homes never share one.
import { chmod, chown, lstat, mkdir, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errorCode, hashOfHome } from './files.js';
import type { PostgresUser } from './postgres-binaries.js';
import { StackError, type StackSettings } from './stack-settings.js';

const rootArea = '/var/lib/durabot';
// The kernel's limit for the path of a socket: 107 bytes on Linux, 103 on macOS. The server appends this name to the folder.
const maxSocketPathBytes = 103;
const socketName = '/.s.PGSQL.5432';

export interface PostgresPlace {
  /** Holds the cluster; owned by the user that the server runs as. */
  area: string;
  cluster: string;
  /** A cluster that is being made. One that is found here was given up half-way. */
  draft: string;
  log: string;
  passwordFile: string;
  user: PostgresUser | undefined;
}

/** `user` as `findPostgresUser` gives it; a cluster that is there stays with the user who owns it. */
export async function placeOf(settings: StackSettings, user: PostgresUser | undefined): Promise<PostgresPlace> {
  const area = user ? join(rootArea, await hashOfHome(settings.home)) : join(settings.home, 'data', 'postgres');
  const cluster = join(area, 'data');
  return {
    area,
    cluster,
    draft: join(area, 'data.new'),
    log: join(settings.home, 'logs', 'postgres.log'),
    passwordFile: join(settings.home, 'data', 'postgres-password'),
    user: user && (await ownerOf(cluster, user)),
  };
}

// The user "postgres" may have come to this machine after the cluster was made as "nobody".
async function ownerOf(cluster: string, user: PostgresUser): Promise<PostgresUser> {
  const owned = await stat(cluster).catch(() => undefined);
  return owned && owned.uid !== 0 ? { ...user, uid: owned.uid, gid: owned.gid } : user;
}

export async function makeArea({ area, user }: PostgresPlace): Promise<void> {
  try {
    if (user) await mkdir(rootArea, { recursive: true, mode: 0o755 });
    await mkdir(area, { recursive: true, mode: 0o700 });
    await chmod(area, 0o700);
    if (user) await chown(area, user.uid, user.gid);
  } catch (error) {
    throw new StackError(
      `The folder ${area} for the database cannot be made (${errorCode(error)}). Make it writable, or set DATABASE_URL.`,
    );
  }
}

/**
 * A short folder for the server's socket that only its user may enter, so that neither a sandboxed tool nor another user
 * reaches the server. Undefined where there can be none; then the server listens on loopback.
 */
export async function socketFolder(
  settings: StackSettings,
  user: PostgresUser | undefined,
): Promise<string | undefined> {
  if (process.platform === 'win32') return undefined;
  const uid = user?.uid ?? process.getuid?.();
  const hash = await hashOfHome(settings.home);
  const candidates = [
    ...(settings.runtimeFolder && !user ? [join(settings.runtimeFolder, `durabot-${hash}`)] : []),
    join(tmpdir(), `durabot-${uid}-${hash}`),
    join('/tmp', `durabot-${uid}-${hash}`),
  ];
  for (const folder of candidates) {
    if (Buffer.byteLength(folder + socketName) <= maxSocketPathBytes && (await isOurs(folder, user))) return folder;
  }
  return undefined;
}

// In a folder where everybody may create names, a stranger may have made this one first.
async function isOurs(folder: string, user: PostgresUser | undefined): Promise<boolean> {
  try {
    await mkdir(folder, { mode: 0o700 });
    if (user) await chown(folder, user.uid, user.gid);
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') return false;
  }
  const facts = await lstat(folder);
  return facts.isDirectory() && facts.uid === (user?.uid ?? process.getuid?.()) && (facts.mode & 0o077) === 0;
}

/** What `spawn` needs to run a program as the cluster's owner. */
export function asUser({ user }: PostgresPlace): { uid?: number; gid?: number } {
  return user ? { uid: user.uid, gid: user.gid } : {};
}
