import { execFileSync } from 'node:child_process';
import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { createGrepTool, grepTool } from '../../../activities/tools/grep.js';
import type { Workspace } from '../../../activities/tools/workspace.js';
import { callOn, newFolder, run, workspaceWith } from './tool-context.js';

const files = {
  'a.md': 'one\ntwo apples\nthree\nfour\nfive\nsix Apples\n',
  'docs/b.txt': 'apples\r\napples again\r\n',
  'docs/c.md': 'pears\n',
  '.note': 'hidden apples',
  'node_modules/p/index.md': 'apples',
  'pic.bin': Buffer.from('apples\0apples'),
};

async function grep(input: Record<string, unknown>, workspace?: Workspace): Promise<string> {
  const result = await run(grepTool, input, callOn(workspace ?? (await workspaceWith(files))));
  return result.text;
}

test.each([
  [
    'a pattern',
    { pattern: 'app?les' },
    ['.note:1: hidden apples', 'a.md:2: two apples', 'docs/b.txt:1: apples', 'docs/b.txt:2: apples again'],
  ],
  ['any case', { pattern: 'six apples', case_insensitive: true }, ['a.md:6: six Apples']],
  ['a kind', { pattern: 'a', type: 'md' }, ['a.md:2: two apples', 'docs/c.md:1: pears']],
  ['a glob', { pattern: 'a', glob: 'docs/*.txt' }, ['docs/b.txt:1: apples', 'docs/b.txt:2: apples again']],
  ['a kind and a glob', { pattern: 'a', glob: 'docs/**', type: 'md' }, ['docs/c.md:1: pears']],
  ['one file', { pattern: 'again', path: 'docs/b.txt' }, ['docs/b.txt:2: apples again']],
  ['one folder', { pattern: 'pears', path: 'docs' }, ['docs/c.md:1: pears']],
  ['only the files', { pattern: 'apples', output_mode: 'files_with_matches' }, ['.note', 'a.md', 'docs/b.txt']],
  ['only the counts', { pattern: 'apples', output_mode: 'count' }, ['.note: 1', 'a.md: 1', 'docs/b.txt: 2']],
  ['lines around', { pattern: 'three', context: 1 }, ['a.md-2- two apples', 'a.md:3: three', 'a.md-4- four']],
  [
    'lines around two places',
    { pattern: 'one|six', path: 'a.md', context: 1 },
    ['a.md:1: one', 'a.md-2- two apples', '--', 'a.md-5- five', 'a.md:6: six Apples'],
  ],
  ['nothing', { pattern: 'plums' }, ['No matches.']],
])('%s gives those lines', async (_, input, expected) => {
  expect((await grep(input)).split('\n')).toEqual(expected);
});

test('a pattern that looks like an option is a pattern', async () => {
  const workspace = await workspaceWith({ 'a.md': 'use --pre=cat\n' });
  expect(await grep({ pattern: '--pre=cat' }, workspace)).toBe('a.md:1: use --pre=cat');
  expect(await grep({ pattern: '(', fixed_strings: true }, workspace)).toBe('No matches.');
});

test('results come in pages until there are no more', async () => {
  const workspace = await workspaceWith({ 'a.md': 'x1\ny\nx2\nx3\n', 'b.md': 'x4\n' });
  const page = { pattern: 'x', head_limit: 2 };
  expect(await grep(page, workspace)).toBe('a.md:1: x1\na.md:3: x2\n\n[There are more; go on with offset 2.]');
  expect(await grep({ ...page, offset: 2 }, workspace)).toBe('a.md:4: x3\nb.md:1: x4');
  expect(await grep({ ...page, offset: 4 }, workspace)).toBe('No further matches.');
  const counts = { pattern: 'x', output_mode: 'count', head_limit: 1 };
  expect(await grep(counts, workspace)).toBe('a.md: 3\n\n[There are more; go on with offset 1.]');
  expect(await grep({ ...counts, offset: 1 }, workspace)).toBe('b.md: 1');
});

test('of a long line the part around the match is shown', async () => {
  const workspace = await workspaceWith({ 'min.js': `${'a'.repeat(5_000)}needle${'b'.repeat(5_000_000)}\nend` });
  expect(await grep({ pattern: 'needle' }, workspace)).toBe(`min.js:1: …${'a'.repeat(100)}needle${'b'.repeat(194)}…`);
});

test('a stored result is searched by its handle', async () => {
  const context = callOn(await workspaceWith({ 'a.md': 'error' }), {
    results: { find: async (handle) => (handle === 'result:7-1/s1.c1' ? 'fine\nerror: disk\nfine' : undefined) },
  });
  const { text } = await run(grepTool, { pattern: 'error', path: 'result:7-1/s1.c1', context: 1, type: 'md' }, context);
  expect(text).toBe('result:7-1/s1.c1-1- fine\nresult:7-1/s1.c1:2: error: disk\nresult:7-1/s1.c1-3- fine');
  const missing = await run(grepTool, { pattern: 'x', path: 'result:7-1/s9.c9' }, context);
  expect(missing.text).toMatch(/^Error: this conversation holds no result:7-1\/s9\.c9/);
});

test.each([
  [
    'a[bc',
    'Error: the search was refused: unclosed character class at character 2 of the pattern. For plain text set fixed_strings.',
  ],
  ['a(b', 'Error: the search was refused: unclosed group at the end of the pattern. For plain text set fixed_strings.'],
  ['x{2,1}', /invalid repetition count range.* at character 2 of the pattern/],
  ['\\bx(?=y)', /look-around.* is not supported at character 4 of the pattern/],
])('the bad pattern %s is refused with its place', async (pattern, words) => {
  const text = await grep({ pattern });
  if (typeof words === 'string') expect(text).toBe(words);
  else expect(text).toMatch(words);
});

test('a bad glob is refused in words', async () => {
  expect(await grep({ pattern: 'x', glob: '{a' })).toMatch(/^Error: the search was refused: error parsing glob '\{a'/);
});

test('a pattern that ruins other engines takes no time here', async () => {
  const workspace = await workspaceWith({ 'a.md': `${'a'.repeat(100_000)}\n` });
  expect(await grep({ pattern: '(a+)+$|(a|aa)+b', output_mode: 'count' }, workspace)).toBe('a.md: 1');
});

test.each([
  ['a missing file', 'a.mb', 'Error: there is no a.mb. Nearest: a.md.'],
  ['a path that leaves', '..', /^Error: \.\. leaves the workspace/],
  ['a PDF', 'r.pdf', 'Error: r.pdf is a PDF; grep searches text only.'],
  ['a pipe', 'pipe', 'Error: pipe is no regular file (a device, pipe or socket).'],
])('%s is refused', async (_, path, words) => {
  const workspace = await workspaceWith({ 'a.md': '', 'r.pdf': '%PDF-1.7' });
  execFileSync('mkfifo', [join(workspace.root, 'pipe')]);
  const text = await grep({ pattern: 'x', path }, workspace);
  if (typeof words === 'string') expect(text).toBe(words);
  else expect(text).toMatch(words);
});

test('neither links nor ignore files of other folders change what is searched', async () => {
  const outside = await newFolder();
  const workspace = await workspaceWith({ 'a.md': 'apples', '.ignore': 'a.md', '.gitignore': 'a.md' });
  await symlink(outside, join(workspace.root, 'out'));
  await symlink('a.md', join(workspace.root, 'b.md'));
  expect(await grep({ pattern: 'apples' }, workspace)).toBe('a.md:1: apples');
  expect(await grep({ pattern: 'apples', path: 'b.md' }, workspace)).toBe('a.md:1: apples');
});

test('what ripgrep finds is shown only if the workspace holds it', async () => {
  // Stands for a folder that is swapped for a link while ripgrep runs: it reports a line of a file elsewhere.
  const workspace = await workspaceWith({ 'd/key': 'nothing of interest\n' });
  const elsewhere = await workspaceWith({ 'd/key': 'the secret of another\n' });
  const swapped: Workspace = { ...workspace, inFolder: (path, work) => elsewhere.inFolder(path, work) };
  for (const output_mode of ['content', 'files_with_matches', 'count']) {
    expect(await grep({ pattern: 'secret', output_mode }, swapped)).toBe('No matches.');
  }
});

test('a stop ends the search', async () => {
  const workspace = await workspaceWith(files);
  const controller = new AbortController();
  const stopped = callOn(workspace, { signal: controller.signal });
  const running = run(grepTool, { pattern: 'apples' }, stopped);
  controller.abort(new Error('stopped'));
  await expect(running).rejects.toThrow();
});

test('without ripgrep the person is told what to do', async () => {
  const tool = createGrepTool(async () => undefined);
  const { text } = await run(tool, { pattern: 'x' }, callOn(await workspaceWith()));
  expect(text).toBe(
    'Error: grep needs ripgrep, which is not installed for this machine. Ask the person to run npm install.',
  );
});
