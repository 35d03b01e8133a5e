// Nothing outside the workspace is read, written or told apart, whichever tool is handed which path. The workspace lies deeper than
// any path of the list climbs, in a world of decoys, so that an escape lands in the world and not in this machine.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { lstat, mkdir, readdir, readFile, rename, symlink, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { expect, test } from '@jest/globals';
import { applyPatchTool } from '../../../activities/tools/apply-patch.js';
import { editFileTool } from '../../../activities/tools/edit-file.js';
import { findFilesTool } from '../../../activities/tools/find-files.js';
import { grepTool } from '../../../activities/tools/grep.js';
import { listDirTool } from '../../../activities/tools/list-dir.js';
import { readFileTool } from '../../../activities/tools/read-file.js';
import type { Tool, ToolResult } from '../../../activities/tools/tool.js';
import { openWorkspace, type Workspace } from '../../../activities/tools/workspace.js';
import { writeFileTool } from '../../../activities/tools/write-file.js';
import { callOn, newFolder, run, workspaceWith } from './tool-context.js';

const corpus: { path: string; escapes: { raw: boolean } }[] = readFileSync(
  'test/corpora/path-traversal/path_traversal.jsonl',
  'utf8',
)
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line));

const uses: [tool: Tool, input: (path: string) => unknown][] = [
  [readFileTool, (path) => ({ path })],
  [listDirTool, (path) => ({ path, recursive: true })],
  [findFilesTool, (path) => ({ path })],
  [grepTool, (path) => ({ path, pattern: 'SECRET' })],
  [editFileTool, (path) => ({ path, old_text: 'SECRET', new_text: 'planted' })],
  [applyPatchTool, (path) => ({ edits: [{ path, action: 'add', new_text: 'planted' }] })],
  [writeFileTool, (path) => ({ path, content: 'planted' })],
];

const use = (tool: Tool, input: unknown, workspace: Workspace): Promise<ToolResult> =>
  run(tool, input, callOn(workspace));

const depth = 64;

/** A folder in a folder in a folder …, the last of which is the workspace; with decoys beside each of them. */
async function worldWith(decoys: readonly string[]): Promise<{ world: string; workspace: Workspace }> {
  const world = await newFolder();
  let folder = world;
  for (let level = 0; level < depth; level++) {
    for (const decoy of decoys) {
      await mkdir(join(folder, decoy, '..'), { recursive: true });
      await writeFile(join(folder, decoy), 'SECRET');
    }
    folder = join(folder, 'w');
    await mkdir(folder);
  }
  return { world, workspace: await openWorkspace(folder) };
}

async function everythingIn(folder: string, except: string): Promise<string[]> {
  if (folder === except) return [];
  const entries = await readdir(folder, { withFileTypes: true });
  const inner = entries.map(async (entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory()
      ? [path, ...(await everythingIn(path, except))]
      : [`${path}: ${await readFile(path, 'utf8')}`];
  });
  return (await Promise.all(inner)).flat().sort();
}

/** Absolute paths of the list are moved into the world, so that a hole in the door harms nobody. */
const inWorld = (world: string, path: string) => (path.startsWith('/') ? join(world, '.') + path : path);

test('no path of the list reaches anything outside, or tells whether it exists', async () => {
  expect(corpus).toHaveLength(530);
  const full = await worldWith(['etc/passwd', 'WINDOWS/win.ini', 'windows/win.ini', 'boot.ini']);
  const bare = await worldWith([]);
  const before = await everythingIn(full.world, full.workspace.root);
  for (const [tool, input] of uses) {
    for (const { path, escapes } of corpus) {
      const first = await use(tool, input(inWorld(full.world, path)), full.workspace);
      const second = tool.effect === 'read' ? await use(tool, input(inWorld(bare.world, path)), bare.workspace) : first;
      const seen = { tool: tool.name, path, text: first.text };
      expect(seen).not.toMatchObject({ text: expect.stringContaining('SECRET') });
      expect({ ...seen, text: first.text.replaceAll(full.world, '') }).toEqual({
        ...seen,
        text: second.text.replaceAll(bare.world, '').replaceAll(full.world, ''),
      });
      if (escapes.raw) expect({ ...seen, failed: first.failed }).toMatchObject({ failed: true });
    }
  }
  expect(await everythingIn(full.world, full.workspace.root)).toEqual(before);
});

test('a link that leads out is refused by every tool with the same words, whether its end exists or not', async () => {
  const outside = await newFolder();
  await mkdir(join(outside, 'sub'));
  await writeFile(join(outside, 'sub/key'), 'SECRET');
  const workspace = await workspaceWith({ 'd/a.md': 'x' });
  await symlink(outside, join(workspace.root, 'd/out'));
  await symlink(join('..', relative(workspace.root, outside), 'sub/key'), join(workspace.root, 'key'));
  await symlink('d/out/sub', join(workspace.root, 'twice'));
  for (const [tool, input] of uses) {
    for (const path of ['d/out', 'd/out/sub', 'd/out/sub/key', 'd/out/none', 'd/out/sub/none/x', 'key', 'twice/key']) {
      const { text, failed } = await use(tool, input(path), workspace);
      expect({ tool: tool.name, path, failed, text }).toMatchObject({
        failed: true,
        text: expect.stringContaining(`${path} leaves the workspace`),
      });
    }
  }
  expect(await readFile(join(outside, 'sub/key'), 'utf8')).toBe('SECRET');
  expect(await readdir(outside)).toEqual(['sub']);
});

test('a listing or search of the whole workspace stays in it', async () => {
  const outside = await newFolder();
  await writeFile(join(outside, 'key'), 'SECRET');
  const workspace = await workspaceWith({ 'a.md': 'x' });
  await symlink(outside, join(workspace.root, 'out'));
  await symlink('/proc/self/root', join(workspace.root, 'machine'));
  const found = [
    await use(listDirTool, { path: '.', recursive: true }, workspace),
    await use(findFilesTool, { include_dirs: true }, workspace),
    await use(grepTool, { pattern: 'SECRET' }, workspace),
  ];
  expect(found.map(({ text }) => text)).toEqual(['a.md (1 bytes)\nmachine (link)\nout (link)', 'a.md', 'No matches.']);
});

// Swaps, ten thousand times, the folder `d` for a link `d` that leads out and back, and the file `f` likewise.
const swapper = `
const fs = require('node:fs');
const [root, outside] = process.argv.slice(1);
process.chdir(root);
const remove = (name) => fs.rmSync(name, { recursive: true, force: true });
const insist = (work, name, tries = 1_000) => { // a tool may have made it meanwhile, or write in it
  try { work(); } catch (error) {
    if (tries === 0) throw error;
    try { remove(name); } catch {}
    insist(work, name, tries - 1);
  }
};
const swap = (name, target) => {
  fs.renameSync(name, name + '.kept');
  insist(() => fs.symlinkSync(target, name), name);
  insist(() => remove(name), name);
  insist(() => fs.renameSync(name + '.kept', name), name);
};
for (let swaps = 0; swaps < 10_000; swaps++) { swap('d', outside); swap('f', outside + '/key'); }
`;

test('a link swapped in between check and use is never followed', async () => {
  const outside = await newFolder();
  await writeFile(join(outside, 'key'), 'SECRET');
  await writeFile(join(outside, 'secret'), '');
  const workspace = await workspaceWith({ 'd/key': 'public', f: 'public' });
  const child = spawn(process.execPath, ['-e', swapper, workspace.root, outside], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  let exitCode: unknown;
  child.on('exit', (code) => {
    exitCode = code;
  });

  const outcomes = { read: 0, refused: 0 };
  for (let round = 0; exitCode === undefined; round++) {
    for (const path of ['d/key', 'f']) {
      const { text, failed } = await use(readFileTool, { path }, workspace);
      outcomes[failed ? 'refused' : 'read']++;
      expect(text).not.toContain('SECRET');
    }
    // It may lose its folder on the way, which is worth another try.
    await use(writeFileTool, { path: 'd/new', content: 'planted' }, workspace).catch(() => undefined);
    expect((await use(listDirTool, { path: 'd' }, workspace)).text).not.toContain('secret');
    if (round % 20 === 0)
      expect((await use(grepTool, { pattern: 'SECRET|public' }, workspace)).text).not.toContain('SECRET');
  }
  expect(exitCode).toBe(0);
  expect(await readdir(outside)).toEqual(['key', 'secret']);
  expect(await readFile(join(outside, 'key'), 'utf8')).toBe('SECRET');
  expect(outcomes.read).toBeGreaterThan(0); // both happened, so the swaps met the reads
  expect(outcomes.refused).toBeGreaterThan(0);
}, 300_000);

test('a file whose folder was moved out while it was open is refused', async () => {
  const outside = await newFolder();
  const workspace = await workspaceWith({ 'd/key': 'public' });
  const staged = await workspace.stage('d/new', Buffer.from('planted'), 'key');
  await rename(join(workspace.root, 'd'), join(outside, 'd'));
  await expect(staged.commit()).rejects.toThrow('leaves the workspace');
  expect(await readdir(join(outside, 'd'))).toEqual(['key']);
  await expect(lstat(join(workspace.root, 'd'))).rejects.toThrow('ENOENT');
});
