import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { applyPatchTool } from '../../../activities/tools/apply-patch.js';
import { editFileTool } from '../../../activities/tools/edit-file.js';
import { grepTool } from '../../../activities/tools/grep.js';
import { readFileTool } from '../../../activities/tools/read-file.js';
import { openWorkspace } from '../../../activities/tools/workspace.js';
import { writeFileTool } from '../../../activities/tools/write-file.js';
import { callOn, newFolder, run, workspaceWith } from './tool-context.js';

test('no tool waits for a pipe, a device or a socket, or changes it', async () => {
  const workspace = await workspaceWith();
  const at = (name: string) => join(workspace.root, name);
  execFileSync('mkfifo', [at('pipe')]);
  const hasDevice = spawnSync('mknod', [at('zero'), 'c', '1', '5']).status === 0; // needs root
  const server = createServer().listen(at('socket'));
  await once(server, 'listening');
  await symlink('pipe', at('link'));
  for (const path of ['pipe', 'link', 'socket', ...(hasDevice ? ['zero'] : [])]) {
    const results = [
      await run(readFileTool, { path }, callOn(workspace)),
      await run(grepTool, { path, pattern: 'x' }, callOn(workspace)),
      await run(editFileTool, { path, old_text: 'a', new_text: 'b' }, callOn(workspace)),
      await run(applyPatchTool, { edits: [{ path, action: 'add', new_text: 'b' }] }, callOn(workspace)),
      await run(writeFileTool, { path, content: 'b' }, callOn(workspace)),
    ];
    for (const { text } of results) expect(text).toMatch(/^Error: .*is no regular file/);
  }
  server.close();
});

test('the root may be reached through a link, and its absolute path is as good as a relative one', async () => {
  const folder = await newFolder();
  const real = await workspaceWith({ 'docs/a.md': 'x' });
  await symlink(real.root, join(folder, 'alias'));
  const workspace = await openWorkspace(join(folder, 'alias'));
  expect(workspace.root).toBe(real.root);
  for (const path of [
    'docs/a.md',
    join(real.root, 'docs/a.md'),
    join(folder, 'alias/docs/a.md'),
    './docs/../docs//a.md',
  ]) {
    expect(await workspace.resolve(path)).toBe('docs/a.md');
    expect((await workspace.read(path, 10)).toString()).toBe('x');
  }
});

test('a file is known by its content', async () => {
  const workspace = await workspaceWith({ 'a.md': 'x', 'b.md': 'x', 'c.md': 'y' });
  expect(await workspace.hash('a.md')).toBe(await workspace.hash('b.md'));
  expect(await workspace.hash('a.md')).not.toBe(await workspace.hash('c.md'));
  expect(await workspace.hash('none.md')).toBeNull();
});

test('more than the caller wants to hold is refused', async () => {
  const workspace = await workspaceWith({ 'a.md': 'x'.repeat(11) });
  await expect(workspace.read('a.md', 10)).rejects.toMatchObject({ kind: 'too large' });
  expect(await workspace.read('a.md', 11)).toHaveLength(11);
});

test('a write that must meet a certain content is refused when it meets another', async () => {
  const workspace = await workspaceWith({ 'a.md': 'x' });
  const options = { key: 'k', signal: new AbortController().signal };
  await expect(workspace.write('a.md', Buffer.from('y'), { ...options, onlyIf: null })).rejects.toMatchObject({
    kind: 'changed',
  });
  await expect(
    workspace.write('b.md', Buffer.from('y'), { ...options, onlyIf: await workspace.hash('a.md') }),
  ).rejects.toMatchObject({
    kind: 'changed',
  });
  await workspace.write('b.md', Buffer.from('y'), { ...options, onlyIf: null });
  expect((await workspace.read('b.md', 10)).toString()).toBe('y');
});

test('nearest names are found in other folders, but not in bulk', async () => {
  const workspace = await workspaceWith({
    'docs/shopping-list.md': '',
    'node_modules/shopping-lists.md': '',
    'unlike.txt': '',
  });
  expect(await workspace.namesNear('Shoping-list.md')).toEqual(['docs/shopping-list.md']);
});

test('a workspace that has gone is no answer about a file, and it works again when it is back', async () => {
  const workspace = await workspaceWith({ 'a.md': 'x' });
  await rm(workspace.root, { recursive: true });
  await expect(run(readFileTool, { path: 'a.md' }, callOn(workspace))).rejects.toThrow(
    'The folder of the workspace cannot be opened',
  );
  execFileSync('mkdir', [workspace.root]);
  await writeFile(join(workspace.root, 'a.md'), 'y');
  expect((await workspace.read('a.md', 10)).toString()).toBe('y');
});
