import { execFileSync } from 'node:child_process';
import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { listDirTool } from '../../../activities/tools/list-dir.js';
import { callOn, run, workspaceWith } from './tool-context.js';

test('a folder is listed by name, with kinds and sizes', async () => {
  const workspace = await workspaceWith({ 'b.md': 'four', 'a/x.md': '', 'node_modules/p/i.js': '', '.hidden': 'x' });
  await symlink('/etc/passwd', join(workspace.root, 'c'));
  execFileSync('mkfifo', [join(workspace.root, 'pipe')]);
  const staged = await workspace.stage('b.md', Buffer.from('a write under way'), 'key');
  const { text } = await run(listDirTool, { path: '.' }, callOn(workspace));
  expect(text).toBe('.hidden (1 bytes)\na/\nb.md (4 bytes)\nc (link)\nnode_modules/\npipe (no regular file)');
  await staged.discard();
});

test('a recursive listing goes into folders, but not into bulk or links', async () => {
  const workspace = await workspaceWith({ 'docs/a/x.md': '1', 'docs/node_modules/p/i.js': '', 'docs/z.md': '' });
  await symlink('a', join(workspace.root, 'docs/again'));
  const { text } = await run(listDirTool, { path: 'docs', recursive: true }, callOn(workspace));
  expect(text).toBe(
    'docs/a/\ndocs/a/x.md (1 bytes)\ndocs/again (link)\ndocs/node_modules/ (not listed)\ndocs/z.md (0 bytes)',
  );
});

test('bulk is listed when it is asked for itself', async () => {
  const workspace = await workspaceWith({ 'node_modules/p/i.js': '' });
  const { text } = await run(listDirTool, { path: 'node_modules', recursive: true }, callOn(workspace));
  expect(text).toBe('node_modules/p/\nnode_modules/p/i.js (0 bytes)');
});

test('a cut is stated', async () => {
  const workspace = await workspaceWith(
    Object.fromEntries(Array.from({ length: 201 }, (_, index) => [`f${index}`, ''])),
  );
  const cut = (await run(listDirTool, { path: '.' }, callOn(workspace))).text.split('\n');
  expect(cut).toHaveLength(202);
  expect(cut.at(-1)).toBe('[Cut after 200 entries; list a folder in it, or use find_files.]');
  const whole = (await run(listDirTool, { path: '.', max_entries: 201 }, callOn(workspace))).text;
  expect(whole).not.toContain('[Cut');
});

test('a name with a line end in it takes one line', async () => {
  const workspace = await workspaceWith({ 'a\nb.md (9 bytes)': '' });
  expect((await run(listDirTool, { path: '.' }, callOn(workspace))).text).toBe('a\\u{a}b.md (9 bytes) (0 bytes)');
});

test.each([
  ['a file', 'a.md', 'Error: a.md is a file, not a folder; use read_file.'],
  ['a missing folder', 'dcos', 'Error: there is no dcos. Nearest: docs/.'],
  ['a folder elsewhere', '/etc', /^Error: \/etc leaves the workspace/],
])('%s is refused', async (_, path, words) => {
  const workspace = await workspaceWith({ 'a.md': '', 'docs/x.md': '' });
  const result = await run(listDirTool, { path }, callOn(workspace));
  expect(result.failed).toBe(true);
  if (typeof words === 'string') expect(result.text).toBe(words);
  else expect(result.text).toMatch(words);
});

test('an empty folder is called empty', async () => {
  expect(await run(listDirTool, { path: '.' }, callOn(await workspaceWith()))).toEqual({
    text: '[. is empty.]',
    failed: false,
  });
});
