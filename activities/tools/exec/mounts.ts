// What a sandboxed command sees of the disk, and what of the workspace it may not change: places from which a later, less
// confined process takes orders. The prompts are built from some; git obeys the rest, and a shell that shows the branch in its
// prompt runs git whenever somebody enters the folder.
import { lstat, mkdir, readdir, realpath, stat, writeFile } from 'node:fs/promises';
import { join, relative, resolve, sep } from 'node:path';
import { noiseFolders } from '../walk-folder.js';

/** Names in the workspace's root that commands cannot change; a slash at the end makes a folder where there is nothing yet. */
export const protectedPaths: readonly string[] = [
  'AGENTS.md',
  'SOUL.md',
  'USER.md',
  'TOOLS.md',
  'HEARTBEAT.md',
  'MEMORY.md',
  'memory/',
  'skills/',
];

/**
 * `read-only`: commands can read repositories, not commit, and cannot make one of the workspace's root. `commits`: they can, and
 * only the settings, hooks, submodules and worktrees of repositories that are there already are read-only. Then a command can
 * still make git run something later, by a file `.git/commondir` that names other settings; so it is not the default.
 */
export type GitAccess = 'read-only' | 'commits';

export interface WorkspaceMounts {
  /** Folders of the workspace, given as paths below it, that stay writable and cannot be moved away. */
  pinnedInside: string[];
  /** The same, read-only. */
  readOnlyInside: string[];
  /** Absolute paths of the machine, shown at the same place. */
  readOnlyBinds: string[];
  readWriteBinds: string[];
}

export interface MountWishes {
  workspace: string;
  /** Holds secrets: no mount may show it. */
  dataDir: string;
  protectedPaths: readonly string[];
  git: GitAccess;
  readOnlyBinds: readonly string[];
  readWriteBinds: readonly string[];
}

/** The command cannot be run as configured; the message says what to change. */
export class MountRefused extends Error {}

const credentialNames = new Set([
  '.ssh',
  '.gnupg',
  '.aws',
  '.azure',
  '.kube',
  '.docker',
  '.config',
  '.netrc',
  '.npmrc',
]);
const ordersOfGit = ['config', 'config.worktree', 'hooks', 'modules', 'worktrees'];
const deepestRepository = 3;
const mostFolders = 2000;

/**
 * Looks up what is there, and makes what is protected but missing: a command could else make it. Safe to call again. Throws
 * `MountRefused` when a wish shows secrets or names nothing.
 */
export async function planMounts(wishes: MountWishes): Promise<WorkspaceMounts> {
  const { workspace, git } = wishes;
  const dataDir = await realpath(wishes.dataDir);
  if (isWithin(dataDir, workspace)) {
    throw new MountRefused(
      `the workspace ${workspace} contains the data folder with its secrets: choose another workspace`,
    );
  }
  const names = git === 'read-only' ? ['.git/', ...wishes.protectedPaths] : wishes.protectedPaths;
  const readOnlyInside: string[] = [];
  const pinnedInside: string[] = [];
  for (const name of names) readOnlyInside.push(await makeSure(workspace, name));
  for (const repository of await repositoriesIn(workspace)) {
    if (readOnlyInside.some((outer) => isWithin(repository, outer))) continue;
    const orders = git === 'commits' ? await ordersIn(workspace, repository) : undefined;
    if (orders) pinnedInside.push(repository);
    readOnlyInside.push(...(orders ?? [repository]));
  }
  return {
    pinnedInside,
    readOnlyInside,
    readOnlyBinds: await allowed(wishes.readOnlyBinds, dataDir),
    readWriteBinds: await allowed(wishes.readWriteBinds, dataDir),
  };
}

/** In the root only: the way to a deeper path could lead through a link that a command made. */
async function makeSure(workspace: string, path: string): Promise<string> {
  const name = path.replace(/\/$/, '');
  if (name === '' || name.includes('/')) throw new MountRefused(`${path} is no name in the root of the workspace`);
  const found = await lstat(join(workspace, name)).catch(() => undefined);
  // A mount cannot hold a link in its place: the command would replace it.
  if (found?.isSymbolicLink()) {
    throw new MountRefused(
      `${name} in the workspace is a link, which a command could replace: put there what it points to`,
    );
  }
  if (!found && path.endsWith('/')) await mkdir(join(workspace, name), { recursive: true });
  if (!found && !path.endsWith('/')) await writeFile(join(workspace, name), '', { flag: 'wx' }).catch(() => {}); // somebody else made it
  return name;
}

/** The `.git` of each repository, as a path below the workspace. New ones, and bare ones, cannot be told from other files. */
async function repositoriesIn(workspace: string): Promise<string[]> {
  const { dev } = await stat(workspace);
  const found: string[] = [];
  const folders = [{ path: '', depth: 0 }];
  for (const { path, depth } of folders) {
    for (const entry of await readdir(join(workspace, path), { withFileTypes: true }).catch(() => [])) {
      const below = join(path, entry.name);
      if (entry.name === '.git' && !entry.isSymbolicLink()) {
        if ((await lstat(join(workspace, below))).dev === dev) found.push(below);
      } else if (
        entry.isDirectory() &&
        depth < deepestRepository &&
        folders.length < mostFolders &&
        !isNoise(entry.name)
      ) {
        folders.push({ path: below, depth: depth + 1 });
      }
    }
  }
  return found;
}

/** What in a `.git` makes git run programs; undefined when that cannot be told apart, and all of it has to be read-only. */
async function ordersIn(workspace: string, repository: string): Promise<string[] | undefined> {
  const place = join(workspace, repository);
  if (!(await lstat(place)).isDirectory()) return undefined; // a file that points elsewhere
  const orders = [];
  for (const name of ordersOfGit) {
    const found = await lstat(join(place, name)).catch(() => undefined);
    if (found?.isSymbolicLink() || (!found && name === 'config')) return undefined;
    if (!found && name === 'hooks') await mkdir(join(place, name), { recursive: true });
    if (found || name === 'hooks') orders.push(join(repository, name));
  }
  return orders;
}

function isNoise(name: string): boolean {
  return name.startsWith('.') || noiseFolders.includes(name);
}

/** Resolved first, then checked. */
async function allowed(binds: readonly string[], dataDir: string): Promise<string[]> {
  const paths = [];
  for (const bind of binds) {
    const path = await realpath(bind).catch(() => {
      throw new MountRefused(
        `the folder ${bind} of tools.exec does not exist: make it or take it out of the configuration`,
      );
    });
    const holdsSecrets =
      path.split(sep).some((part) => credentialNames.has(part)) || isWithin(dataDir, path) || isWithin(path, dataDir);
    if (holdsSecrets)
      throw new MountRefused(`the folder ${bind} of tools.exec holds secrets: take it out of the configuration`);
    paths.push(path);
  }
  return paths;
}

/**
 * Where the command starts, as a path below the workspace; undefined for what is no folder of it. Takes paths as the file tools
 * do, and those that a command itself would see (`/workspace/…`).
 */
export async function workingDirIn(workspace: string, wanted: string): Promise<string | undefined> {
  const asHere = wanted.replace(/^\/workspace(?=\/|$)/, workspace);
  const real = await realpath(resolve(workspace, asHere)).catch(() => undefined);
  if (real === undefined || !isWithin(real, workspace) || !(await stat(real)).isDirectory()) return undefined;
  return relative(workspace, real) || '.';
}

function isWithin(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way === '' || (way !== '..' && !way.startsWith(`..${sep}`) && !way.startsWith(sep));
}
