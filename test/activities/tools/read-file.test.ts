import { execFileSync } from 'node:child_process';
import { truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { readFileTool } from '../../../activities/tools/read-file.js';
import { callOn, run, workspaceWith } from './tool-context.js';

const numbered = (count: number) => Array.from({ length: count }, (_, index) => `line ${index + 1}`).join('\n');

test('a small file is read as it stands', async () => {
  const workspace = await workspaceWith({ 'notes/list.md': '\ufeffMilk\r\nbread\r\n' });
  const result = await run(readFileTool, { path: 'notes/list.md' }, callOn(workspace));
  expect(result).toEqual({ text: 'Milk\nbread\n', failed: false });
});

test('a long file is read page by page until its end', async () => {
  const workspace = await workspaceWith({ 'long.txt': numbered(4_500) });
  const read = (offset: number) => run(readFileTool, { path: 'long.txt', offset }, callOn(workspace));
  const first = (await read(1)).text;
  expect(first).toMatch(/^line 1\n/);
  expect(first).toMatch(/line 2000\n\n\[Lines 1 to 2000 of 4500; go on with offset 2001\.\]$/);
  const last = (await read(4_001)).text;
  expect(last).toMatch(/^line 4001\n[^[]*\nline 4500$/);
});

test('a page ends at a whole line before it has too many characters', async () => {
  const workspace = await workspaceWith({ 'wide.txt': `${'a'.repeat(100_000)}\n${'b'.repeat(100_000)}\nend` });
  const { text } = await run(readFileTool, { path: 'wide.txt' }, callOn(workspace));
  expect(text).toBe(`${'a'.repeat(100_000)}\n\n[Lines 1 to 1 of 3; go on with offset 2.]`);
});

test('a line that fills more than a page is cut and says so', async () => {
  const workspace = await workspaceWith({ 'one.json': `${'x'.repeat(300_000)}\nend` });
  const { text } = await run(readFileTool, { path: 'one.json' }, callOn(workspace));
  expect(text.startsWith(`${'x'.repeat(128_000)}\n\n[Line 1 is longer than 128000 characters and was cut`)).toBe(true);
  expect(text).toContain('go on with offset 2.');
});

test('letters that lie across two pieces of a file stay whole', async () => {
  const workspace = await workspaceWith({ 'umlauts.txt': `${'ä'.repeat(200_000)}`.replace(/(.{99})/g, '$1\n') });
  const { text } = await run(readFileTool, { path: 'umlauts.txt', offset: 1_300 }, callOn(workspace));
  expect(text.replaceAll('ä', '').trim()).toBe('');
});

test('a limit gives that many lines', async () => {
  const workspace = await workspaceWith({ 'long.txt': numbered(10) });
  const { text } = await run(readFileTool, { path: 'long.txt', offset: 3, limit: 2 }, callOn(workspace));
  expect(text).toBe('line 3\nline 4\n\n[Lines 3 to 4 of 10; go on with offset 5.]');
});

test('an empty file is called empty', async () => {
  const workspace = await workspaceWith({ 'empty.md': '' });
  expect((await run(readFileTool, { path: 'empty.md' }, callOn(workspace))).text).toBe('[empty.md is empty.]');
});

test('a stored result is paged by its handle', async () => {
  const handle = 'result:7-1/s1.c1';
  const context = callOn(await workspaceWith(), {
    results: { find: async (asked) => (asked === handle ? numbered(2_100) : undefined) },
  });
  const { text } = await run(readFileTool, { path: handle, offset: 2_099 }, context);
  expect(text).toBe('line 2099\nline 2100');
  expect(await run(readFileTool, { path: 'result:7-1/s9.c9' }, context)).toEqual({
    text: 'Error: this conversation holds no result:7-1/s9.c9. Use a handle as a result gave it.',
    failed: true,
  });
});

test.each([
  ['a name that does not exist', 'notes.mb', 'Error: there is no notes.mb. Nearest: notes.md, notes/.'],
  ['a folder', 'notes', 'Error: notes is a folder; use list_dir.'],
  ['a name in a file', 'notes.md/x', 'Error: a part of notes.md/x is not a folder.'],
  ['a path that leaves', '../x', /^Error: \.\.\/x leaves the workspace, .* Use a path relative to the workspace/],
  ['an absolute path elsewhere', '/etc/passwd', /^Error: \/etc\/passwd leaves the workspace/],
  ['a NUL', 'a\0b', 'Error: a path must not hold a NUL character.'],
  ['a name too long', 'n'.repeat(300), /^Error: a name in n+… is longer than 255 bytes\.$/],
  ['a path too long', 'a/'.repeat(3_000), /^Error: the path (a\/)+… is longer than 4096 bytes\.$/],
  ['a PDF', 'report.pdf', 'Error: report.pdf is a PDF; read_file reads UTF-8 text only.'],
  ['an image', 'photo.png', 'Error: photo.png is an image; read_file reads UTF-8 text only.'],
  [
    'an Office document',
    'sheet.xlsx',
    'Error: sheet.xlsx is an Office document or another ZIP archive; read_file reads UTF-8 text only.',
  ],
  ['UTF-16', 'wide.txt', 'Error: wide.txt is text in UTF-16; read_file reads UTF-8 text only.'],
  ['a binary file', 'program', 'Error: program is a binary file; read_file reads UTF-8 text only.'],
])('%s is refused with cause and remedy', async (_, path, text) => {
  const workspace = await workspaceWith({
    'notes.md': 'x',
    'notes/a.md': 'x',
    'report.pdf': '%PDF-1.7 …',
    'photo.png': Buffer.from('\x89PNG\r\n', 'latin1'),
    'sheet.xlsx': Buffer.from('PK\x03\x04', 'latin1'),
    'wide.txt': Buffer.from('\ufeffwide', 'utf16le'),
    program: Buffer.from([1, 0, 2]),
  });
  const result = await run(readFileTool, { path }, callOn(workspace));
  expect(result.failed).toBe(true);
  if (typeof text === 'string') expect(result.text).toBe(text);
  else expect(result.text).toMatch(text);
});

test('a line behind the end is refused with the number of lines', async () => {
  const workspace = await workspaceWith({ 'notes.md': 'one\ntwo\n' });
  const result = await run(readFileTool, { path: 'notes.md', offset: 3 }, callOn(workspace));
  expect(result).toEqual({ text: 'Error: notes.md has 2 lines; line 3 lies behind its end.', failed: true });
});

test('a file above 100 MiB is refused, one of 100 MiB is read', async () => {
  const workspace = await workspaceWith({ 'big.log': 'start\n' });
  const file = join(workspace.root, 'big.log');
  execFileSync('sh', ['-c', `yes 0123456789abcdef | head -c ${100 * 1024 * 1024 - 6} >> '${file}'`]);
  expect((await run(readFileTool, { path: 'big.log', limit: 1 }, callOn(workspace))).text).toMatch(
    /^start\n\n\[Lines 1 to 1 of/,
  );
  await truncate(file, 100 * 1024 * 1024 + 1);
  expect((await run(readFileTool, { path: 'big.log' }, callOn(workspace))).text).toBe(
    'Error: big.log is larger than 100 MiB. Search it with grep.',
  );
});

test('a pipe or a device is refused at once', async () => {
  const workspace = await workspaceWith();
  execFileSync('mkfifo', [join(workspace.root, 'pipe')]);
  const result = await run(readFileTool, { path: 'pipe' }, callOn(workspace));
  expect(result.text).toBe('Error: pipe is no regular file (a device, pipe or socket).');
});

test('a stop ends the reading', async () => {
  const workspace = await workspaceWith({ 'notes.md': 'x' });
  const stopped = callOn(workspace, { signal: AbortSignal.abort(new Error('stopped')) });
  await expect(run(readFileTool, { path: 'notes.md' }, stopped)).rejects.toThrow('stopped');
});

test('the summary shows the name of the file alone', () => {
  expect(readFileTool.summary(readFileTool.input.parse({ path: 'private/journal/notes.md' }))).toBe(
    'read_file notes.md',
  );
  expect(readFileTool.summary(readFileTool.input.parse({ path: 'result:7-1/s1.c1' }))).toBe(
    'read_file a stored result',
  );
});
