// Replaces a file in one step: its new content is written beside it under a name of our own, flushed, and renamed over it.
// A worker may die, or be frozen and thaw, at any line: whoever begins a write removes what an earlier attempt of the same call left
// there, so a thawed attempt has nothing left to rename and fails instead of undoing later work.
import { createHash, randomBytes } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { type FileHandle, lstat, open, readdir, rename, unlink } from 'node:fs/promises';
import { asFile, childOf, locate, type Place, pathInside, type Root, recheck } from './beneath.js';
import { hashOfFile } from './file-hash.js';
import { FileRefusal, shown } from './file-refusal.js';

/** Content that stands beside its file and waits to take its place. Every staged file must be committed or discarded. */
export interface StagedFile {
  /** Relative to the root, links resolved. */
  path: string;
  /**
   * Puts the content in place. `onlyIf`: the hash that the file must have right now, null for "must not exist"; else nothing is
   * written and it is refused as `changed`. Rejects with a plain error when another attempt of the call has taken over.
   */
  commit(onlyIf?: string | null): Promise<void>;
  /** Does nothing after a commit, whatever came of it. */
  discard(): Promise<void>;
}

const leftoverMs = 60 * 60 * 1000; // far above the minute that a write may take
const temporaryName = /^\.durabot-([0-9a-f]{16})-[0-9a-f]{12}\.tmp$/;

/** Names that the workspace shows to nobody: a write under way, or what a dead attempt left. */
export function isTemporary(name: string): boolean {
  return temporaryName.test(name);
}

/** Makes missing folders, keeps the mode of a file that is there. `key` names the call, the same on every attempt. */
export async function stageFile(root: Root, path: string, content: Uint8Array, key: string): Promise<StagedFile> {
  const place = await locate(root, path, true);
  try {
    const mode = await modeOfWritable(root, place, path);
    const owner = createHash('sha256').update(`${key}\0${place.name}`).digest('hex').slice(0, 16);
    await removeLeftovers(root, place, owner);
    const temporary = childOf(root, place.folder, `.durabot-${owner}-${randomBytes(6).toString('hex')}.tmp`);
    await writeFlushed(temporary, content, mode);
    return stagedFile(root, place, temporary, path);
  } catch (error) {
    await place.folder.handle.close();
    throw error;
  }
}

function stagedFile(root: Root, place: Place, temporary: string, asked: string): StagedFile {
  const { folder, name } = place;
  const target = childOf(root, folder, name);
  let isSettled = false;
  const discard = async () => {
    if (isSettled) return; // once the folder is closed its number may belong to another one
    isSettled = true;
    await unlink(temporary).catch(ignoreMissing);
    await folder.handle.close();
  };
  return {
    path: pathInside(root, place),
    discard,
    async commit(onlyIf) {
      try {
        if (onlyIf !== undefined && (await hashAt(target)) !== onlyIf) throw changed(asked);
        await recheck(root, folder.handle, asked);
        await rename(temporary, target).catch((error: NodeJS.ErrnoException) => {
          if (error.code !== 'ENOENT') throw error;
          throw new Error('What was written has been removed, by another attempt of this call or with its folder', {
            cause: error,
          });
        });
        await folder.handle.sync(); // the rename itself must survive a power cut, since the call is then recorded as done
      } finally {
        await discard();
      }
    },
  };
}

/** The mode of the file that is there, undefined when there is none. */
async function modeOfWritable(root: Root, { folder, name }: Place, path: string): Promise<number | undefined> {
  const found: Stats | undefined = await lstat(childOf(root, folder, name)).catch(ignoreMissing);
  if (found === undefined) return undefined;
  if (found.isDirectory()) throw new FileRefusal('folder', path, `${shown(path)} is a folder; name a file in it.`);
  if (!found.isFile())
    throw new FileRefusal('not a file', path, `${shown(path)} is no regular file and is left alone.`);
  // A rename would replace it all the same: a file that its owner has made read-only is meant to stay.
  if ((found.mode & 0o222) === 0) {
    throw new FileRefusal('no access', path, `${shown(path)} is read-only. Ask the person to make it writable first.`);
  }
  return found.mode & 0o777;
}

async function writeFlushed(path: string, content: Uint8Array, mode: number | undefined): Promise<void> {
  const flags = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | constants.O_NOFOLLOW;
  const file = await open(path, flags, mode ?? 0o666);
  try {
    await file.writeFile(content);
    if (mode !== undefined) await file.chmod(mode); // past the umask
    await file.sync();
  } catch (error) {
    await unlink(path).catch(ignoreMissing);
    throw error;
  } finally {
    await file.close();
  }
}

async function removeLeftovers(root: Root, { folder }: Place, owner: string): Promise<void> {
  for (const name of await readdir(childOf(root, folder, '.'))) {
    const match = temporaryName.exec(name);
    if (match === null) continue;
    const path = childOf(root, folder, name);
    const isOurs = match[1] === owner;
    if (isOurs || (await ageMsOf(path)) > leftoverMs) await unlink(path).catch(ignoreMissing);
  }
}

async function ageMsOf(path: string): Promise<number> {
  const found = await lstat(path).catch(ignoreMissing);
  return found === undefined ? 0 : Date.now() - found.mtimeMs;
}

async function hashAt(path: string): Promise<string | null> {
  const file: FileHandle | undefined = await open(path, asFile).catch(ignoreMissing);
  if (file === undefined) return null;
  try {
    return await hashOfFile(file);
  } finally {
    await file.close();
  }
}

function changed(path: string): FileRefusal {
  return new FileRefusal(
    'changed',
    path,
    `${shown(path)} was changed by somebody else meanwhile. Read it again first.`,
  );
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
  return undefined;
}
