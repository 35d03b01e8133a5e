// Goes through a folder of the workspace, name by name in order. It enters no link and shows no temporary file of ours.
import type { Dirent, Stats } from 'node:fs';
import { lstat, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { asFolder, childOf, type OpenFolder, type Root } from './beneath.js';
import { isTemporary } from './staged-file.js';

export interface Entry {
  name: string;
  /** Relative to the workspace's root. */
  path: string;
  kind: 'file' | 'folder' | 'link' | 'other';
  /** Of the name itself, a link is not followed; undefined when it has gone. To be asked while the entry is at hand. */
  stat(): Promise<Stats | undefined>;
}

/** Folders that hold what programs made, in bulk: listed by name, not gone through unless asked for themselves. */
export const noiseFolders: readonly string[] = [
  '.git',
  'node_modules',
  '.venv',
  'venv',
  '__pycache__',
  '.tox',
  '.mypy_cache',
  '.pytest_cache',
  '.ruff_cache',
];

const maxDepth = 64;

/** `into` decides which folders are entered. A folder that vanishes or cannot be read meanwhile counts as empty. */
export async function* walkFolder(
  root: Root,
  folder: OpenFolder,
  path: string,
  into: (entry: Entry) => boolean,
  depth = 0,
): AsyncGenerator<Entry> {
  const children = await readdir(childOf(root, folder, '.'), { withFileTypes: true });
  children.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const child of children) {
    if (isTemporary(child.name)) continue;
    const place = childOf(root, folder, child.name);
    const entry: Entry = {
      name: child.name,
      path: join(path, child.name),
      kind: kindOf(child),
      stat: () => lstat(place).catch(() => undefined),
    };
    yield entry;
    if (entry.kind !== 'folder' || depth >= maxDepth || !into(entry)) continue;
    const handle = await open(place, asFolder).catch(() => undefined);
    if (handle === undefined) continue;
    try {
      yield* walkFolder(root, { handle, path: join(folder.path, child.name) }, entry.path, into, depth + 1);
    } finally {
      await handle.close();
    }
  }
}

function kindOf(child: Dirent): Entry['kind'] {
  if (child.isFile()) return 'file';
  if (child.isDirectory()) return 'folder';
  return child.isSymbolicLink() ? 'link' : 'other';
}
