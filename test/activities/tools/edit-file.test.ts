import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { editFileTool } from '../../../activities/tools/edit-file.js';
import type { Workspace } from '../../../activities/tools/workspace.js';
import { callOn, run, workspaceWith } from './tool-context.js';

async function edit(content: string | Uint8Array, input: Record<string, unknown>) {
  const workspace = await workspaceWith({ 'notes.md': content });
  const result = await run(editFileTool, { path: 'notes.md', ...input }, callOn(workspace));
  return { ...result, after: await readFile(join(workspace.root, 'notes.md'), 'utf8') };
}

test('one passage is replaced exactly', async () => {
  const { text, after } = await edit('one\ntwo\nthree\n', { old_text: 'two', new_text: 'zwei' });
  expect(after).toBe('one\nzwei\nthree\n');
  expect(text).toBe('Replaced once in notes.md (line 2).');
});

test('an exact match wins over a looser one', async () => {
  const { after } = await edit('  go();\ngo();\n', { old_text: 'go();\ngo', new_text: 'stop();\ngo' });
  expect(after).toBe('  stop();\ngo();\n');
});

test('a passage with other indentation is found, and the file keeps its own', async () => {
  const content = 'class A {\n\t\tif (x) {\n\t\t\tgo();\n\t\t}\n}\n';
  const { text, after } = await edit(content, {
    old_text: 'if (x) {\n\tgo();\n}\n',
    new_text: 'if (y) {\n\tstop();\n}\n\ndone();\n',
  });
  expect(after).toBe('class A {\n\t\tif (y) {\n\t\t\tstop();\n\t\t}\n\n\t\tdone();\n}\n');
  expect(text).toBe('Replaced once in notes.md (line 2). Matched with indentation ignored.');
});

test('less indentation than the model thought of stays less', async () => {
  const { after } = await edit('        a\n        b\n', { old_text: '    a\n    b', new_text: '  a\n    c' });
  expect(after).toBe('      a\n        c\n');
});

test('typographic quotes match plain ones', async () => {
  const { text, after } = await edit('She said “hello”.\n', { old_text: 'said "hello"', new_text: 'said "bye"' });
  expect(after).toBe('She said "bye".\n');
  expect(text).toContain('Matched with quotes evened.');
});

test('line ends and byte order mark stay as they are', async () => {
  const { after } = await edit('\ufeffone\r\ntwo\r\nthree', { old_text: 'one\ntwo', new_text: 'eins\nzwei' });
  expect(after).toBe('\ufeffeins\r\nzwei\r\nthree');
});

test('a file that mixes line ends keeps the others', async () => {
  const { after } = await edit('one\r\ntwo\nthree\r\n', { old_text: 'two', new_text: 'zwei' });
  expect(after).toBe('one\r\nzwei\nthree\r\n');
});

const thrice = 'x = 1\ny\nx = 1\ny\nx = 1\n';

test.each([
  ['replace_all', { replace_all: true }, 'x = 2\ny\nx = 2\ny\nx = 2\n'],
  ['occurrence', { occurrence: 2 }, 'x = 1\ny\nx = 2\ny\nx = 1\n'],
  ['line_hint', { line_hint: 4 }, 'x = 1\ny\nx = 2\ny\nx = 1\n'],
  ['expected_replacements', { expected_replacements: 3 }, 'x = 2\ny\nx = 2\ny\nx = 2\n'],
])('%s says which of several passages is meant', async (_, choice, expected) => {
  const { failed, after } = await edit(thrice, { old_text: 'x = 1', new_text: 'x = 2', ...choice });
  expect({ failed, after }).toEqual({ failed: false, after: expected });
});

test.each([
  [
    'several matches',
    { old_text: 'x = 1' },
    /occurs 3 times in notes\.md \(lines 1, 3, 5\)\. Add more of what stands around it/,
  ],
  [
    'an occurrence that is not there',
    { old_text: 'x = 1', occurrence: 4 },
    /occurs 3 times .* there is no occurrence 4\./,
  ],
  [
    'another count',
    { old_text: 'x = 1', expected_replacements: 2 },
    /expected 2 replacements, found 3 times in notes\.md \(lines 1, 3, 5\)\. Nothing was written\./,
  ],
  ['another count than one', { old_text: 'x = 1', expected_replacements: 2, occurrence: 1 }, /found once of 3/],
  [
    'two choices',
    { old_text: 'x = 1', occurrence: 1, replace_all: true },
    /give only one of occurrence, line_hint and replace_all/,
  ],
  ['equal texts', { old_text: 'z' }, /old_text and new_text are equal/],
  ['no match', { old_text: 'x == 1 or so' }, /was not found in notes\.md\. The nearest place is:\n1\| x = 1/],
  [
    'nothing like it',
    { old_text: 'quite another thing' },
    /was not found in notes\.md\. Nothing in it is like old_text; read it first\./,
  ],
])('%s writes nothing and says why', async (_, input, words) => {
  const { text, failed, after } = await edit(thrice, { new_text: 'z', ...input });
  expect(text).toMatch(/^Error: /);
  expect(text).toMatch(words);
  expect({ failed, after }).toEqual({ failed: true, after: thrice });
});

test.each([
  ['a binary file', Buffer.from([1, 0, 2]), /is a binary file; only text can be edited/],
  ['text that is not UTF-8', Buffer.from('Gr\xfc\xdfe', 'latin1'), /is not UTF-8; editing it would damage it/],
])('%s is refused', async (_, content, words) => {
  expect((await edit(content, { old_text: 'G', new_text: 'g' })).text).toMatch(words);
});

test('a file that does not exist is refused with the nearest names', async () => {
  const workspace = await workspaceWith({ 'docs/notes.md': 'x' });
  const result = await run(editFileTool, { path: 'notes.md', old_text: 'x', new_text: 'y' }, callOn(workspace));
  expect(result).toEqual({ text: 'Error: there is no notes.md. Nearest: docs/notes.md.', failed: true });
});

// The first attempt writes the file and dies before its result is recorded; the second finds what the first one remembered.
async function attempts(
  content: string,
  input: Record<string, unknown>,
  between: (workspace: Workspace) => Promise<void>,
) {
  const workspace = await workspaceWith({ 'notes.md': content });
  const call = callOn(workspace);
  const first = await run(editFileTool, { path: 'notes.md', ...input }, call);
  await between(workspace);
  const second = await run(editFileTool, { path: 'notes.md', ...input }, call);
  return { first, second, after: await readFile(join(workspace.root, 'notes.md'), 'utf8') };
}

test('an edit whose attempt died after the write is not made twice', async () => {
  const { first, second, after } = await attempts('a', { old_text: 'a', new_text: 'aa' }, async () => {});
  expect(after).toBe('aa');
  expect(second).toEqual(first);
});

test('an edit whose attempt died before the write is made by the next one', async () => {
  const workspace = await workspaceWith({ 'notes.md': 'a' });
  const call = callOn(workspace);
  const dying = { ...call, workspace: { ...workspace, write: () => Promise.reject(new Error('killed')) } };
  dying.remember = (value) => call.remember(value);
  await expect(run(editFileTool, { path: 'notes.md', old_text: 'a', new_text: 'aa' }, dying)).rejects.toThrow('killed');
  expect(call.remembered).toBeDefined();
  expect((await run(editFileTool, { path: 'notes.md', old_text: 'a', new_text: 'aa' }, call)).failed).toBe(false);
  expect(await readFile(join(workspace.root, 'notes.md'), 'utf8')).toBe('aa');
});

test('a file that somebody else changed between two attempts is left alone', async () => {
  const { second, after } = await attempts('a', { old_text: 'a', new_text: 'aa' }, (workspace) =>
    writeFile(join(workspace.root, 'notes.md'), 'mine: a'),
  );
  expect(after).toBe('mine: a');
  expect(second.text).toMatch(
    /^Error: an earlier attempt of this call was interrupted and notes\.md has changed since/,
  );
});

test('an attempt that no longer holds the call writes nothing', async () => {
  const workspace = await workspaceWith({ 'notes.md': 'a' });
  const call = callOn(workspace, { remember: () => Promise.reject(new Error('overtaken')) });
  await expect(run(editFileTool, { path: 'notes.md', old_text: 'a', new_text: 'aa' }, call)).rejects.toThrow(
    'overtaken',
  );
  expect(await readFile(join(workspace.root, 'notes.md'), 'utf8')).toBe('a');
});

test('a file that changes between reading and writing is not overwritten', async () => {
  const workspace = await workspaceWith({ 'notes.md': 'a' });
  const call = callOn(workspace, { remember: () => writeFile(join(workspace.root, 'notes.md'), 'typed by a person') });
  const result = await run(editFileTool, { path: 'notes.md', old_text: 'a', new_text: 'b' }, call);
  expect(result.text).toBe('Error: notes.md was changed by somebody else meanwhile. Read it again first.');
  expect(await readFile(join(workspace.root, 'notes.md'), 'utf8')).toBe('typed by a person');
});

test('whatever the text, a second attempt changes nothing more', async () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', ' ', '\n', '“'), minLength: 1, maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(text, text, text, async (content, old_text, new_text) => {
      const workspace = await workspaceWith({ 'notes.md': content });
      const call = callOn(workspace);
      const input = { path: 'notes.md', old_text, new_text, replace_all: true };
      const first = await run(editFileTool, input, call);
      const between = await readFile(join(workspace.root, 'notes.md'), 'utf8');
      const second = await run(editFileTool, input, call);
      expect(second).toEqual(first);
      expect(await readFile(join(workspace.root, 'notes.md'), 'utf8')).toBe(between);
    }),
    { numRuns: 200 },
  );
});
