// Opens what lies beneath a root, and nothing else. Node has no "beneath" open, so a path is walked name by name from the root: the
// kernel never follows a link for us. A link is read, and what it names is walked again from the root, so a link that stays inside
// works and one that leads out is refused before anything outside is touched, whether it exists or not.
// On Linux each name is looked up in the folder that is already open (`/proc/self/fd/<n>/<name>`), so a folder that is swapped for
// a link between check and use changes nothing. Elsewhere names are joined to the folder's path and that window stays open.
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readlink } from 'node:fs/promises';
import { isAbsolute, join, relative, resolve, sep } from 'node:path';
import { FileRefusal, shown } from './file-refusal.js';
import { refuseProtected } from './protected-names.js';

export interface Root {
  /** Absolute, links resolved. */
  path: string;
  /** The root as it was configured; absolute links inside the workspace may spell it so. */
  spelling: string;
  /** Whether names can be looked up in an open folder: on Linux with /proc. */
  byHandle: boolean;
}

export interface OpenFolder {
  handle: FileHandle;
  /** Absolute, without links. */
  path: string;
}

/** A name in an open folder; it need not exist, and what it names may be anything but a link. The caller closes the folder. */
export interface Place {
  folder: OpenFolder;
  /** `.` for the root itself. */
  name: string;
}

const maxLinks = 40;
const maxPathBytes = 4096;
const maxNameBytes = 255;
export const asFolder = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
/** Never follows, never waits for the other end of a FIFO. */
export const asFile = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** The path by which the kernel finds `name` in an open folder. */
export function childOf(root: Root, folder: OpenFolder, name: string): string {
  return root.byHandle ? `/proc/self/fd/${folder.handle.fd}/${name}` : join(folder.path, name);
}

/** Relative to the root; the root itself is the empty text. */
export function pathInside(root: Root, { folder, name }: Place): string {
  return relative(root.path, join(folder.path, name));
}

/**
 * Finds the place that `path` names: relative to the root, or absolute inside it; nothing in it is decoded. With `forWriting`
 * missing folders are made, and a protected name on the way is refused before that.
 */
export async function locate(root: Root, path: string, forWriting = false): Promise<Place> {
  let names = namesBeneath(root, root.path, path, path);
  for (let links = 0; links <= maxLinks; links++) {
    if (forWriting) refuseProtected(names, path);
    const walked = await walk(root, names, forWriting);
    if (!('leadsTo' in walked)) return walked;
    names = namesBeneath(root, walked.from, walked.leadsTo, path);
  }
  throw new FileRefusal('bad path', path, `${shown(path)} passes more than ${maxLinks} links.`);
}

/** Refuses an open file or folder that is not beneath the root (any more): the last look, at the thing itself and not at its name. */
export async function recheck(root: Root, handle: FileHandle, path: string): Promise<void> {
  if (!root.byHandle) return;
  const real = await readlink(`/proc/self/fd/${handle.fd}`);
  if (leaves(relative(root.path, real))) throw outside(path);
}

type Walked = Place | { leadsTo: string; from: string };

async function walk(root: Root, names: readonly string[], makeFolders: boolean): Promise<Walked> {
  let folder: OpenFolder = { handle: await openRoot(root), path: root.path };
  try {
    for (const [index, name] of names.entries()) {
      const target = await findLink(childOf(root, folder, name));
      if (target !== undefined) {
        await folder.handle.close();
        return { from: folder.path, leadsTo: join(target, ...names.slice(index + 1)) };
      }
      if (index === names.length - 1) {
        await recheck(root, folder.handle, folder.path);
        return { folder, name };
      }
      folder = await enter(root, folder, name, makeFolders);
    }
    return { folder, name: '.' };
  } catch (error) {
    await folder.handle.close();
    throw error;
  }
}

/** Without its root a workspace is broken, which is no answer about the path. */
function openRoot(root: Root): Promise<FileHandle> {
  return open(root.path, asFolder).catch((error: unknown) => {
    throw new Error('The folder of the workspace cannot be opened', { cause: error });
  });
}

/** Where a link points to; undefined for what is missing or no link. */
async function findLink(path: string): Promise<string | undefined> {
  try {
    return await readlink(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EINVAL' || code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Opens a folder in a folder, and closes the outer one when that worked. */
async function enter(root: Root, folder: OpenFolder, name: string, makeFolders: boolean): Promise<OpenFolder> {
  const path = childOf(root, folder, name);
  if (makeFolders) {
    await mkdir(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
  const handle = await open(path, asFolder);
  await folder.handle.close();
  return { handle, path: join(folder.path, name) };
}

function namesBeneath(root: Root, from: string, path: string, asked: string): string[] {
  if (asked.includes('\0')) throw new FileRefusal('bad path', asked, 'a path must not hold a NUL character.');
  if (Buffer.byteLength(path) > maxPathBytes) {
    throw new FileRefusal('bad path', asked, `the path ${shown(asked)} is longer than ${maxPathBytes} bytes.`);
  }
  const absolute = resolve(from, path);
  const inside = [root.path, root.spelling].map((start) => relative(start, absolute)).find((rest) => !leaves(rest));
  if (inside === undefined) throw outside(asked);
  const names = inside.split(sep).filter((name) => name !== '');
  if (names.some((name) => Buffer.byteLength(name) > maxNameBytes)) {
    throw new FileRefusal('bad path', asked, `a name in ${shown(asked)} is longer than ${maxNameBytes} bytes.`);
  }
  return names;
}

function leaves(relativePath: string): boolean {
  return relativePath === '..' || relativePath.startsWith(`..${sep}`) || isAbsolute(relativePath);
}

function outside(path: string): FileRefusal {
  return new FileRefusal(
    'outside',
    path,
    `${shown(path)} leaves the workspace, and file tools work only inside it. Use a path relative to the workspace, such as notes.md.`,
  );
}
