import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { applyPatchTool } from '../../../activities/tools/apply-patch.js';
import type { Workspace } from '../../../activities/tools/workspace.js';
import { callOn, run, workspaceWith } from './tool-context.js';

const replace = (path: string, old_text: string, new_text: string) => ({ path, action: 'replace', old_text, new_text });
const add = (path: string, new_text: string) => ({ path, action: 'add', new_text });

async function contents(workspace: Workspace, ...paths: string[]) {
  return Promise.all(paths.map((path) => readFile(join(workspace.root, path), 'utf8').catch(() => undefined)));
}

test('several edits of several files are applied in order', async () => {
  const workspace = await workspaceWith({ 'a.md': 'one\n', 'b.md': 'two' });
  const edits = [
    replace('a.md', 'one', 'eins'),
    replace('./a.md', 'eins', 'uno'),
    add('b.md', 'three\n'),
    add('new/c.md', 'c\n'),
  ];
  const result = await run(applyPatchTool, { edits }, callOn(workspace));
  expect(result).toEqual({ text: 'Applied 4 edits to a.md, b.md, new/c.md.', failed: false });
  expect(await contents(workspace, 'a.md', 'b.md', 'new/c.md')).toEqual(['uno\n', 'two\nthree\n', 'c\n']);
});

test('a file is one file, however it is reached', async () => {
  const workspace = await workspaceWith({ 'real/a.md': 'one' });
  await symlink('real', join(workspace.root, 'alias'));
  const edits = [replace('alias/a.md', 'one', 'two'), replace('real/a.md', 'two', 'three')];
  expect((await run(applyPatchTool, { edits }, callOn(workspace))).failed).toBe(false);
  expect(await contents(workspace, 'real/a.md')).toEqual(['three']);
});

test.each([
  [
    'a passage that is not there',
    replace('b.md', 'nowhere', 'x'),
    /edit 2 of 2 does not fit: old_text was not found in b\.md\. .* Nothing was written\./,
  ],
  [
    'a passage that occurs twice',
    replace('b.md', 't', 'x'),
    /edit 2 of 2 does not fit: old_text occurs 2 times in b\.md/,
  ],
  [
    'a missing file',
    replace('c.md', 'x', 'y'),
    /edit 2 of 2 does not fit: there is no c\.md\. Use the action add to make it/,
  ],
  [
    'a missing old_text',
    { path: 'b.md', action: 'replace', new_text: 'x' },
    /edit 2 of 2 does not fit: the action replace needs old_text/,
  ],
  ['a path that leaves', add('../x', 'x'), /edit 2 of 2 does not fit: \.\.\/x leaves the workspace/],
  ['a protected file', add('.git/config', 'x'), /\.git\/config is protected.* Nothing was written\.$/],
  ['a folder', add('folder', 'x'), /edit 2 of 2 does not fit: folder is a folder/],
])('%s leaves all files as they were', async (_, second, words) => {
  const workspace = await workspaceWith({ 'a.md': 'one', 'b.md': 'tat', 'folder/x': '' });
  const result = await run(applyPatchTool, { edits: [replace('a.md', 'one', 'two'), second] }, callOn(workspace));
  expect(result.failed).toBe(true);
  expect(result.text).toMatch(/^Error: /);
  expect(result.text).toMatch(words);
  expect(await contents(workspace, 'a.md', 'b.md')).toEqual(['one', 'tat']);
  expect(await readdir(workspace.root)).toEqual(['a.md', 'b.md', 'folder']);
});

test('a dry run shows what would change and writes nothing', async () => {
  const workspace = await workspaceWith({ 'a.md': 'one\ntwo\n' });
  const call = callOn(workspace);
  const result = await run(applyPatchTool, { edits: [replace('a.md', 'two', 'zwei')], dry_run: true }, call);
  expect(result.text).toBe(
    'Nothing was written. The patch fits:\n--- a.md\n+++ a.md\n@@ -1,2 +1,2 @@\n one\n-two\n+zwei\n',
  );
  expect(await contents(workspace, 'a.md')).toEqual(['one\ntwo\n']);
  expect(call.remembered).toBeUndefined();
});

const doubling = [replace('a.md', 'a', 'aa'), add('b.md', 'b\n'), replace('c.md', 'c', 'cc')];

/** Dies after so many files have been put in place. */
function dyingAfter(workspace: Workspace, files: number): Workspace {
  let committed = 0;
  return {
    ...workspace,
    stage: async (...args) => {
      const staged = await workspace.stage(...args);
      const commit: typeof staged.commit = async (onlyIf) => {
        if (committed++ === files) throw new Error('killed');
        await staged.commit(onlyIf);
      };
      return { ...staged, commit };
    },
  };
}

test.each([0, 1, 2, 3])(
  'a patch interrupted after %i of 3 files is carried on, and no edit is made twice',
  async (files) => {
    const workspace = await workspaceWith({ 'a.md': 'a', 'b.md': 'b\n', 'c.md': 'c' });
    const call = callOn(workspace);
    const dying = callOn(dyingAfter(workspace, files), { remember: call.remember });
    const attempt = run(applyPatchTool, { edits: doubling }, dying);
    if (files < 3) await expect(attempt).rejects.toThrow('killed');
    else await attempt;
    const second = await run(applyPatchTool, { edits: doubling }, call);
    expect(second).toEqual({ text: 'Applied 3 edits to a.md, b.md, c.md.', failed: false });
    expect(await contents(workspace, 'a.md', 'b.md', 'c.md')).toEqual(['aa', 'b\nb\n', 'cc']);
    expect(await readdir(workspace.root)).toEqual(['a.md', 'b.md', 'c.md']);
  },
);

test('an interrupted patch whose file was changed by somebody else goes no further', async () => {
  const workspace = await workspaceWith({ 'a.md': 'a', 'b.md': 'b\n', 'c.md': 'c' });
  const call = callOn(workspace);
  const dying = callOn(dyingAfter(workspace, 1), { remember: call.remember });
  await expect(run(applyPatchTool, { edits: doubling }, dying)).rejects.toThrow('killed');
  await writeFile(join(workspace.root, 'c.md'), 'typed by a person');
  const second = await run(applyPatchTool, { edits: doubling }, call);
  expect(second.text).toMatch(/^Error: an earlier attempt of this call was interrupted and c\.md has changed since/);
  expect(await contents(workspace, 'a.md', 'b.md', 'c.md')).toEqual(['aa', 'b\n', 'typed by a person']);
});

test('a file that changes while the patch is written is left alone, and the written ones are named', async () => {
  const workspace = await workspaceWith({ 'a.md': 'a', 'b.md': 'b\n', 'c.md': 'c' });
  const call = callOn(workspace, { remember: () => writeFile(join(workspace.root, 'b.md'), 'typed by a person') });
  const result = await run(applyPatchTool, { edits: doubling }, call);
  expect(result.text).toBe(
    'Error: b.md was changed by somebody else meanwhile. Read it again first. Written: a.md; no other.',
  );
  expect(await contents(workspace, 'a.md', 'b.md', 'c.md')).toEqual(['aa', 'typed by a person', 'c']);
  expect(await readdir(workspace.root)).toEqual(['a.md', 'b.md', 'c.md']);
});

test('what twenty files with long names must remember fits', async () => {
  const workspace = await workspaceWith();
  const folder = 'f'.repeat(200);
  await mkdir(join(workspace.root, folder));
  const edits = Array.from({ length: 20 }, (_, index) => add(`${folder}/${'n'.repeat(200)}${index}`, 'x'));
  expect((await run(applyPatchTool, { edits }, callOn(workspace))).failed).toBe(false);
  expect(await readdir(join(workspace.root, folder))).toHaveLength(20);
});
