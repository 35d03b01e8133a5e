// The one door from tools to files. It resolves every path against the workspace's root and refuses what leaves it.
// Everything it cannot do for a reason that the model can act on is a `FileRefusal`; anything else (a broken disk) is thrown as it is.
import { constants } from 'node:fs';
import { access, type FileHandle, lstat, open, realpath } from 'node:fs/promises';
import { relative, resolve } from 'node:path';
import { asFile, asFolder, childOf, locate, type OpenFolder, pathInside, type Root, recheck } from './beneath.js';
import { hashOfFile } from './file-hash.js';
import { FileRefusal, shown, toRefusal } from './file-refusal.js';
import { nearestNames } from './nearest-names.js';
import { type StagedFile, stageFile } from './staged-file.js';
import { type Entry, noiseFolders, walkFolder } from './walk-folder.js';

export interface WorkspaceFile {
  /** Relative to the root, links resolved. */
  path: string;
  bytes: number;
  handle: FileHandle;
}

export interface WriteOptions {
  /** The call's key, the same on every attempt: what an earlier attempt left half-written is removed. */
  key: string;
  /** Looked at once more just before the content takes its place. */
  signal: AbortSignal;
  /** The hash that the file must have, null for "must not exist". */
  onlyIf?: string | null;
}

export interface Workspace {
  /** Absolute path of the root, links resolved. */
  readonly root: string;
  /** Opens a regular file for reading, and no FIFO, device or socket. The caller closes its handle. */
  open(path: string): Promise<WorkspaceFile>;
  /** The whole content; refuses more than `maxBytes`. */
  read(path: string, maxBytes: number): Promise<Buffer>;
  /** What two contents are compared by; null when there is no such file. */
  hash(path: string): Promise<string | null>;
  /**
   * Replaces the file or makes it, with missing folders; a reader sees the old or the new content. Resolves to its path relative to
   * the root, links resolved. Refused as `changed`, with nothing written, when the file is not as `onlyIf` says.
   */
  write(path: string, content: Uint8Array, options: WriteOptions): Promise<string>;
  /** The first half of `write`, for several files: the content stands beside the file until `commit` or `discard`. */
  stage(path: string, content: Uint8Array, key: string): Promise<StagedFile>;
  /** Relative to the root, links resolved; also for a path that does not exist yet. */
  resolve(path: string): Promise<string>;
  /** Goes through a folder in order; `into` decides which folders in it are entered. Links are not. */
  walk(path: string, into: (entry: Entry) => boolean): AsyncGenerator<Entry>;
  /** Runs `work` in a folder: `cwd` stays the same folder for a child process, whatever happens to its name. */
  inFolder<T>(path: string, work: (folder: { cwd: string; path: string }) => Promise<T>): Promise<T>;
  /** Up to five files and folders that may have been meant by a path that does not exist. */
  namesNear(path: string): Promise<string[]>;
}

const maxSearched = 5_000;

/** Opens the workspace at `path`, which must exist. Nothing has to be closed. */
export async function openWorkspace(path: string): Promise<Workspace> {
  const root: Root = { path: await realpath(path), spelling: resolve(path), byHandle: await canLookUpByHandle() };

  async function openFile(path: string): Promise<WorkspaceFile> {
    const place = await locate(root, path);
    try {
      const target = childOf(root, place.folder, place.name);
      // Looked at before it is opened: opening a device may do something.
      refuseIrregular(await lstat(target), path);
      const handle = await open(target, asFile);
      try {
        const found = await handle.stat();
        refuseIrregular(found, path);
        await recheck(root, handle, path);
        return { path: pathInside(root, place), bytes: found.size, handle };
      } catch (error) {
        await handle.close();
        throw error;
      }
    } finally {
      await place.folder.handle.close();
    }
  }

  async function openFolder(path: string): Promise<OpenFolder & { inside: string }> {
    const place = await locate(root, path);
    try {
      const target = childOf(root, place.folder, place.name);
      const found = await lstat(target);
      if (!found.isDirectory()) {
        throw new FileRefusal('not a folder', path, `${shown(path)} is a file, not a folder; use read_file.`);
      }
      const handle = await open(target, asFolder);
      const inside = pathInside(root, place);
      return { handle, path: resolve(root.path, inside), inside };
    } finally {
      await place.folder.handle.close();
    }
  }

  async function* walk(path: string, into: (entry: Entry) => boolean): AsyncGenerator<Entry> {
    const folder = await refusing(path, () => openFolder(path));
    try {
      yield* walkFolder(root, folder, folder.inside, into);
    } finally {
      await folder.handle.close();
    }
  }

  async function stage(path: string, content: Uint8Array, key: string): Promise<StagedFile> {
    const staged = await refusing(path, () => stageFile(root, path, content, key));
    return { ...staged, commit: (onlyIf) => refusing(path, () => staged.commit(onlyIf)) };
  }

  return {
    root: root.path,
    walk,
    stage,
    open: (path) => refusing(path, () => openFile(path)),

    async write(path, content, { key, signal, onlyIf }) {
      const staged = await stage(path, content, key);
      if (signal.aborted) await staged.discard();
      signal.throwIfAborted();
      await staged.commit(onlyIf);
      return staged.path;
    },

    read: (path, maxBytes) =>
      refusing(path, async () => {
        const file = await openFile(path);
        try {
          return await readAll(file, maxBytes);
        } finally {
          await file.handle.close();
        }
      }),

    hash: (path) =>
      orMissing(path, null, async () => {
        const file = await openFile(path);
        try {
          return await hashOfFile(file.handle);
        } finally {
          await file.handle.close();
        }
      }),

    resolve: (path) =>
      orMissing(path, relative(root.path, resolve(root.path, path)), async () => {
        const place = await locate(root, path);
        await place.folder.handle.close();
        return pathInside(root, place);
      }),

    async inFolder(path, work) {
      const folder = await refusing(path, () => openFolder(path));
      try {
        return await work({ cwd: childOf(root, folder, '.'), path: folder.inside });
      } finally {
        await folder.handle.close();
      }
    },

    async namesNear(path) {
      const wanted = (path.split('/').pop() ?? '').toLowerCase();
      const paths = new Map<string, string>(); // the first path of each name
      let seen = 0;
      for await (const entry of walk('.', ({ name }) => !noiseFolders.includes(name))) {
        if (++seen > maxSearched) break;
        if (!paths.has(entry.name)) paths.set(entry.name, entry.kind === 'folder' ? `${entry.path}/` : entry.path);
      }
      return nearestNames(wanted, paths.keys(), 5).map((name) => paths.get(name) ?? name);
    },
  };
}

async function canLookUpByHandle(): Promise<boolean> {
  if (process.platform !== 'linux') return false;
  // Going on without it would check names only, and nobody would know.
  await access('/proc/self/fd', constants.R_OK).catch((error: unknown) => {
    throw new Error('The workspace cannot be guarded: mount /proc in this container', { cause: error });
  });
  return true;
}

function refuseIrregular(found: { isFile(): boolean; isDirectory(): boolean }, path: string): void {
  if (found.isDirectory()) throw new FileRefusal('folder', path, `${shown(path)} is a folder; use list_dir.`);
  if (!found.isFile()) {
    throw new FileRefusal('not a file', path, `${shown(path)} is no regular file (a device, pipe or socket).`);
  }
}

async function readAll({ handle, bytes, path }: WorkspaceFile, maxBytes: number): Promise<Buffer> {
  const limit = `${maxBytes.toLocaleString('en')} bytes`;
  if (bytes > maxBytes) throw new FileRefusal('too large', path, `${shown(path)} is larger than ${limit}.`);
  const content = Buffer.alloc(bytes + 1);
  for (let read = 0; read < content.length; ) {
    const { bytesRead } = await handle.read(content, read, content.length - read, read);
    if (bytesRead === 0) return content.subarray(0, read);
    read += bytesRead;
  }
  throw new FileRefusal('changed', path, `${shown(path)} grew while it was read. Try again.`);
}

async function refusing<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toRefusal(error, path) ?? error;
  }
}

async function orMissing<T>(path: string, whenMissing: T, work: () => Promise<T>): Promise<T> {
  try {
    return await refusing(path, work);
  } catch (error) {
    if (error instanceof FileRefusal && error.kind === 'missing') return whenMissing;
    throw error;
  }
}
