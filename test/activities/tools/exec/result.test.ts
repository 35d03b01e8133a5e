import { expect, test } from '@jest/globals';
import type { ExitRecord } from '../../../../activities/tools/exec/folder.js';
import { toResult, toToolResult } from '../../../../activities/tools/exec/result.js';
import { newPlace } from './commands.js';

function exit(change: Partial<ExitRecord> = {}): ExitRecord {
  return {
    ended: 'by itself',
    exitCode: 0,
    signal: null,
    startedAt: '2026-01-01T00:00:00.000Z',
    durationMs: 12,
    stdoutBytes: 0,
    stderrBytes: 0,
    timeLimitMs: 60_000,
    limits: { memoryBytes: 2 * 1024 ** 3, processes: 256, fileBytes: 1024 ** 3, minFreeBytes: 1024 ** 3 },
    maxOutputChars: 1000,
    ...change,
  };
}

const all = (text: string) => ({ total: text.length, head: Buffer.from(text), omitted: 0, tail: Buffer.alloc(0) });
const output = (stdout = '', stderr = '') => ({ stdout: all(stdout), stderr: all(stderr) });

test('exit code, stdout and stderr are told apart', () => {
  expect(toToolResult(exit({ exitCode: 2 }), output('found\n', 'warned\n'))).toEqual({
    text: 'Exit code 2.\nstdout:\nfound\n\nstderr:\nwarned\n',
    failed: false,
  });
});

test('silence is said', () => {
  expect(toToolResult(exit(), output()).text).toBe('Exit code 0.\n(no output)');
});

test('equal runs give equal texts, however long they took', () => {
  const [quick, slow] = [exit({ durationMs: 1 }), exit({ durationMs: 999, startedAt: '2026-02-02T00:00:00.000Z' })];
  expect(toToolResult(quick, output('x'))).toEqual(toToolResult(slow, output('x')));
});

test.each([
  ['time over' as const, /^Error: time over after 60 s\. .*Output so far:\nstdout:\npart$/s],
  ['over memory' as const, /^Error: more memory than the 2048 MiB/],
  ['too many processes' as const, /^Error: more than the 256 processes/],
  ['disk almost full' as const, /^Error: the disk is almost full: less than 1024 MiB/],
  ['stopped' as const, /^Error: the command was stopped\. .*part$/s],
  ['not started' as const, /^Error: the command could not be started\. stdout:\npart$/],
])('%s is a failure that says so and keeps the output', (ended, text) => {
  expect(toToolResult(exit({ ended }), output('part'))).toMatchObject({
    failed: true,
    text: expect.stringMatching(text),
  });
});

test('long output keeps head and tail within the limit and says what is missing', () => {
  const { text } = toToolResult(exit(), output(`first${'x'.repeat(5000)}last`));
  expect(text).toMatch(/stdout:\nfirstx+\n\[… cut: 4009 characters left out;.*\]\nx+last$/);
  expect(text.length).toBeLessThan(1200);
});

test('a short stderr is whole beside a long stdout', () => {
  const { text } = toToolResult(exit(), output('o'.repeat(5000), 'the reason'));
  expect(text).toContain('stderr:\nthe reason');
  expect(text.match(/o/g)?.length).toBeGreaterThan(985);
});

test('what was not even kept is counted', () => {
  const stdout = {
    total: 10_000_000,
    head: Buffer.alloc(131_072, 'h'),
    omitted: 9_737_856,
    tail: Buffer.alloc(131_072, 't'),
  };
  const { text } = toToolResult(exit(), { ...output(), stdout });
  expect(text).toMatch(/h\n\[… cut: 261144 characters, 9737856 bytes before them left out;.*\]\nt/);
});

test('what kept output cannot hold whole is never half a character, a NUL or a colour', () => {
  const { text } = toToolResult(exit(), output(`\u001b[31mred\u001b[0m\0${'😀'.repeat(1001)}`));
  expect(text).toContain('red\ufffd');
  expect(text.isWellFormed()).toBe(true);
});

test('a lost command may have happened, one that was never begun did not', async () => {
  const { dataDir } = await newPlace();
  expect(toResult(dataDir, 'a1-1/s1.c1', { kind: 'lost' })).toMatchObject({
    failed: true,
    outcome: 'unknown',
    text: expect.stringMatching(/^Error: .*may or may not have taken effect/),
  });
  expect(toResult(dataDir, 'a1-1/s1.c1', { kind: 'never' })).toMatchObject({ failed: true, outcome: 'not run' });
});
