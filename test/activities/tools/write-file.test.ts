import { execFileSync, spawnSync } from 'node:child_process';
import { chmod, link, readdir, readFile, readlink, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { writeFileTool } from '../../../activities/tools/write-file.js';
import { callOn, newFolder, run, workspaceWith } from './tool-context.js';

test('a file is made together with its folders', async () => {
  const workspace = await workspaceWith();
  const result = await run(writeFileTool, { path: 'a/b/notes.md', content: 'Grüße\n' }, callOn(workspace));
  expect(result).toEqual({ text: 'Wrote 8 bytes to a/b/notes.md.', failed: false });
  expect(await readFile(join(workspace.root, 'a/b/notes.md'), 'utf8')).toBe('Grüße\n');
});

test('a file is replaced whole, keeps its mode and leaves nothing beside it', async () => {
  const workspace = await workspaceWith({ 'run.sh': 'old and longer' });
  await chmod(join(workspace.root, 'run.sh'), 0o775);
  await run(writeFileTool, { path: 'run.sh', content: 'new' }, callOn(workspace));
  expect(await readFile(join(workspace.root, 'run.sh'), 'utf8')).toBe('new');
  expect((await stat(join(workspace.root, 'run.sh'))).mode & 0o777).toBe(0o775);
  expect(await readdir(workspace.root)).toEqual(['run.sh']);
});

test('a second attempt writes the same and says the same', async () => {
  const workspace = await workspaceWith();
  const call = callOn(workspace);
  const first = await run(writeFileTool, { path: 'notes.md', content: 'x' }, call);
  expect(await run(writeFileTool, { path: 'notes.md', content: 'x' }, call)).toEqual(first);
});

test('what a dead attempt left is removed by the next attempt of its call, and by nobody else for an hour', async () => {
  const workspace = await workspaceWith();
  const staged = await workspace.stage('notes.md', Buffer.from('half'), 'key of a dead call');
  expect(await readdir(workspace.root)).toHaveLength(1);
  await run(writeFileTool, { path: 'notes.md', content: 'x' }, callOn(workspace, { key: 'another' }));
  expect(await readdir(workspace.root)).toHaveLength(2);
  await run(writeFileTool, { path: 'notes.md', content: 'x' }, callOn(workspace, { key: 'key of a dead call' }));
  expect(await readdir(workspace.root)).toEqual(['notes.md']);
  await expect(staged.commit()).rejects.toThrow('removed, by another attempt of this call');
  expect(await readFile(join(workspace.root, 'notes.md'), 'utf8')).toBe('x');
});

test('what a dead call left is removed after an hour', async () => {
  const workspace = await workspaceWith();
  const staged = await workspace.stage('a.md', Buffer.from('half'), 'dead');
  const [left = ''] = await readdir(workspace.root);
  const longAgo = new Date(Date.now() - 3_700_000);
  await utimes(join(workspace.root, left), longAgo, longAgo);
  await run(writeFileTool, { path: 'b.md', content: 'x' }, callOn(workspace));
  expect(await readdir(workspace.root)).toEqual(['b.md']);
  await staged.discard();
});

test('an abort before the last step leaves the old file', async () => {
  const workspace = await workspaceWith({ 'notes.md': 'old' });
  const call = callOn(workspace, { signal: AbortSignal.abort(new Error('stopped')) });
  await expect(run(writeFileTool, { path: 'notes.md', content: 'new' }, call)).rejects.toThrow('stopped');
  expect(await readFile(join(workspace.root, 'notes.md'), 'utf8')).toBe('old');
  expect(await readdir(workspace.root)).toEqual(['notes.md']);
});

test('a link that stays inside is written through, and stays a link', async () => {
  const workspace = await workspaceWith({ 'real/notes.md': 'old' });
  await symlink('real/notes.md', join(workspace.root, 'short.md'));
  await symlink(join(workspace.root, 'real'), join(workspace.root, 'folder'));
  const one = await run(writeFileTool, { path: 'short.md', content: 'one' }, callOn(workspace));
  expect(one.text).toBe('Wrote 3 bytes to real/notes.md.');
  await run(writeFileTool, { path: 'folder/more.md', content: 'two' }, callOn(workspace));
  expect(await readlink(join(workspace.root, 'short.md'))).toBe('real/notes.md');
  expect(await readdir(join(workspace.root, 'real'))).toEqual(['more.md', 'notes.md']);
});

test('another name of the same file, outside, keeps its content', async () => {
  const workspace = await workspaceWith();
  const outside = join(await newFolder(), 'kept.md');
  await writeFile(outside, 'kept');
  await link(outside, join(workspace.root, 'notes.md'));
  await run(writeFileTool, { path: 'notes.md', content: 'new' }, callOn(workspace));
  expect(await readFile(outside, 'utf8')).toBe('kept');
});

test.each([
  ['a folder', 'folder', 'Error: folder is a folder; name a file in it.'],
  ['the workspace itself', '.', 'Error: . is a folder; name a file in it.'],
  ['a name in a file', 'notes.md/x', 'Error: a part of notes.md/x is not a folder.'],
  ['a path that leaves', 'folder/../../x', /^Error: folder\/\.\.\/\.\.\/x leaves the workspace/],
  ['a link that leaves', 'out/new.md', /^Error: out\/new\.md leaves the workspace/],
  ['a link in a circle', 'circle', /^Error: circle passes more than 40 links\.$/],
  ['a pipe', 'pipe', 'Error: pipe is no regular file and is left alone.'],
  ['a read-only file', 'fixed.md', 'Error: fixed.md is read-only. Ask the person to make it writable first.'],
  [
    "git's hooks",
    'deep/.git/hooks/pre-commit',
    /^Error: deep\/\.git\/hooks\/pre-commit is protected: .* The person can change them by hand\.$/,
  ],
  ["git's settings", '.git/config', /is protected/],
  ["git's settings on a disk without case", '.GIT/config', /is protected/],
  ["git's settings with a hidden letter", '.g\u200cit/config', /is protected/],
  ["git's settings behind a link", 'hidden/config', /is protected/],
  ['a pointer to settings elsewhere', 'folder/.git', /is protected/],
])('%s is refused', async (_, path, text) => {
  const outside = await newFolder();
  const workspace = await workspaceWith({ 'notes.md': 'x', 'folder/a.md': 'x', 'fixed.md': 'x', '.git/HEAD': 'x' });
  const at = (name: string) => join(workspace.root, name);
  await symlink(outside, at('out'));
  await symlink('circle', at('circle'));
  await symlink('.git', at('hidden'));
  await chmod(at('fixed.md'), 0o444);
  execFileSync('mkfifo', [at('pipe')]);
  const result = await run(writeFileTool, { path, content: 'new' }, callOn(workspace));
  expect(result.failed).toBe(true);
  if (typeof text === 'string') expect(result.text).toBe(text);
  else expect(result.text).toMatch(text);
  expect(await readdir(outside)).toEqual([]);
  expect(await readdir(at('.git'))).toEqual(['HEAD']);
  expect((await readdir(workspace.root)).filter((name) => name.startsWith('.durabot'))).toEqual([]);
});

// A disk of one page; only where mounting is allowed (root, on Linux, not in every container).
const canMount = spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0;

(canMount ? test : test.skip)('a full disk is an answer and leaves nothing (needs the right to mount)', async () => {
  const workspace = await workspaceWith({ 'small/notes.md': 'x' });
  const disk = join(workspace.root, 'small');
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4k', 'tmpfs', disk]);
  try {
    const result = await run(writeFileTool, { path: 'small/a.md', content: 'x'.repeat(100_000) }, callOn(workspace));
    expect(result.text).toBe('Error: the disk is full; small/a.md was not written.');
    expect(await readdir(disk)).toEqual([]);
  } finally {
    execFileSync('umount', [disk]);
  }
});
