import { symlink, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { findFilesTool } from '../../../activities/tools/find-files.js';
import type { Workspace } from '../../../activities/tools/workspace.js';
import { callOn, run, workspaceWith } from './tool-context.js';

const files = {
  'README.md': '',
  'docs/design.md': '',
  'docs/old/Design-2025.MD': '',
  'src/main.py': '',
  'src/.env': '',
  'node_modules/p/readme.md': '',
};

async function find(input: Record<string, unknown>, workspace?: Workspace): Promise<string> {
  const result = await run(findFilesTool, input, callOn(workspace ?? (await workspaceWith(files))));
  return result.text;
}

test.each([
  ['nothing', {}, ['README.md', 'docs/design.md', 'docs/old/Design-2025.MD', 'src/.env', 'src/main.py']],
  ['words in any order and case', { query: 'DESIGN docs' }, ['docs/design.md', 'docs/old/Design-2025.MD']],
  ['a glob for names', { glob: '*.md' }, ['README.md', 'docs/design.md']],
  ['a glob for paths', { glob: 'docs/**/*-20??.{MD,txt}' }, ['docs/old/Design-2025.MD']],
  ['a glob from the searched folder on', { path: 'docs', glob: 'old/*' }, ['docs/old/Design-2025.MD']],
  ['a glob that excludes', { glob: '!*.md' }, ['docs/old/Design-2025.MD', 'src/.env', 'src/main.py']],
  ['a kind', { type: 'markdown' }, ['README.md', 'docs/design.md', 'docs/old/Design-2025.MD']],
  ['a kind of its own', { type: 'env' }, ['src/.env']],
  ['folders too', { include_dirs: true, query: 'old' }, ['docs/old/', 'docs/old/Design-2025.MD']],
  ['bulk that is asked for', { path: 'node_modules' }, ['node_modules/p/readme.md']],
])('%s finds those files', async (_, input, expected) => {
  expect((await find(input)).split('\n')).toEqual(expected);
});

test('the newest come first when asked for', async () => {
  const workspace = await workspaceWith({ 'a.md': '', 'b.md': '', 'c.md': '' });
  for (const [name, time] of [
    ['a.md', 100],
    ['b.md', 300],
    ['c.md', 200],
  ] as const) {
    await utimes(join(workspace.root, name), time, time);
  }
  expect(await find({ sort: 'modified' }, workspace)).toBe('b.md\nc.md\na.md');
});

test('results come in pages until there are no more', async () => {
  const workspace = await workspaceWith(Object.fromEntries(Array.from({ length: 5 }, (_, index) => [`f${index}`, ''])));
  expect(await find({ head_limit: 2 }, workspace)).toBe('f0\nf1\n\n[Results 1 to 2 of 5; go on with offset 2.]');
  expect(await find({ head_limit: 2, offset: 4 }, workspace)).toBe('f4');
  expect(await find({ offset: 9 }, workspace)).toBe('[There are only 5 results.]');
  expect(await find({ query: 'nothing' }, workspace)).toBe('[No files found.]');
});

test('links are neither found nor followed', async () => {
  const workspace = await workspaceWith({ 'a/x.md': '' });
  await symlink('a', join(workspace.root, 'b'));
  await symlink('a/x.md', join(workspace.root, 'y.md'));
  expect(await find({ type: 'md' }, workspace)).toBe('a/x.md');
});

test.each([
  ['[abc', 'Error: the glob [abc is not valid: the [ at character 1 is not closed.'],
  ['src/{a,b', 'Error: the glob src/{a,b is not valid: the { at character 5 is not closed.'],
  ['[z-a]', 'Error: the glob [z-a] is not valid: look at its brackets and backslashes.'],
])('the bad glob %s is refused with its place', async (glob, words) => {
  expect(await find({ glob })).toBe(words);
});

test('a glob that would take minutes is cut off', async () => {
  const workspace = await workspaceWith({ ['a'.repeat(255)]: '' });
  expect(await find({ glob: '*a*a*a*a*a*b' }, workspace)).toBe(
    'Error: the glob *a*a*a*a*a*b takes too long to match. Use fewer stars, or query.',
  );
});

test('a missing folder is refused with the nearest names', async () => {
  expect(await find({ path: 'doc' })).toBe('Error: there is no doc. Nearest: docs/.');
});
