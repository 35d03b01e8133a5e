// Each command with its wrong inputs: the sentence and the exit code, before anything is started.
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';

const folder = mkdtempSync(join(tmpdir(), 'durabot-wrong-'));
const home = join(folder, 'home');

function durabot(args: readonly string[], input = '', more: Record<string, string> = {}) {
  const source = `const { main } = await import('./dist/workers/cli.js'); await main(process.argv.slice(1));`;
  const env = { PATH: process.env.PATH, HOME: folder, DURABOT_HOME: home, ...more };
  return new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
    const child = execFile(
      process.execPath,
      ['--input-type=module', '-e', source, '--', ...args],
      { env },
      (error, stdout, stderr) => resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr }),
    );
    child.stdin?.end(input);
  });
}

test.each<[args: string[], sentence: string]>([
  [['run'], 'The prompt is empty. Write it as: durabot run "…", with -p, or to stdin.'],
  [['run', '  '], 'The prompt is empty.'],
  [['run', '-p', '-'], 'The prompt is empty.'],
  [['run', '-p', 'a', 'b'], 'The prompt is given twice, as an argument and by -p. Keep one.'],
  [['run', 'a', '-e', 'NAME'], '-e must be KEY=VALUE.'],
  [['run', 'a', '-e', '1A=b'], '-e: KEY must be letters, digits and underscores'],
  [['run', 'a', '--context', '-1'], 'It must be a whole number, 0 or more.'],
  [['run', 'a', '--context', 'two'], 'It must be a whole number, 0 or more.'],
  [['run', 'a', '--context', '2', '-g', 'cli'], '--context and -g exclude each other'],
  [['run', 'a', '--timeout', 'soon'], 'It must be a duration above 0: seconds as a number, or 30s, 5m, 2h, 7d.'],
  [['run', 'a', '--timeout', '0'], 'It must be a duration above 0'],
  [['run', 'a', '--detach', '--timeout', '5s'], '--timeout and --detach exclude each other.'],
  [['run', 'a', '--key', ''], '--key must be a name of 1 to 200 characters.'],
  [['run', 'a', '-g', ' '], '-g must be a name of 1 to 200 characters.'],
  [
    ['run', 'a', '--temperature', '3'],
    '--temperature: agents.defaults.temperature must be a number from 0 to 2, but is 3.',
  ],
  [['run', 'a', '--temperature', 'hot'], 'It must be a number.'],
  [['run', 'a', '--max-tokens', '0'], '--max-tokens: agents.defaults.maxTokens must be a whole number'],
  [['run', 'a', '--model', ''], '--model: agents.defaults.model must be text that is not empty'],
  [['run', 'a', '--modle', 'x'], "unknown option '--modle'\n(Did you mean --model?)"],
  [['shell', '-g', ''], 'The name of a chat has 1 to 200 characters.'],
  [['serve', 'now'], "too many arguments for 'serve'"],
  [['logs', '-n', 'ten'], 'It must be a whole number, 0 or more.'],
  [['logs', '-n', '1.5'], 'It must be a whole number, 0 or more.'],
  [['session', 'lst'], "unknown command 'lst'\n(Did you mean ls?)"],
  [['session', 'show'], "missing required argument 'name'"],
  [['explain'], "missing required argument 'turn'"],
  [['stop', 'cli', '--all'], 'Give a name or --all, not both.'],
])('%j is wrong use', async (args, sentence) => {
  const { code, stdout, stderr } = await durabot(args);
  expect(stderr).toContain(sentence);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(existsSync(home)).toBe(false);
});

test('a wrong value of -e is not repeated: it may be a secret', async () => {
  const { stderr } = await durabot(['run', 'a', '-e', 'sk-secret-of-mine']);
  expect(stderr).toContain('-e must be KEY=VALUE.');
  expect(stderr).not.toContain('sk-secret-of-mine');
});

test('logs without a log says so', async () => {
  expect(await durabot(['logs'])).toMatchObject({ code: 1, stderr: expect.stringContaining('There is no log yet') });
});

test('every command has its --help', async () => {
  const { stdout } = await durabot(['--help']);
  const names = [...stdout.matchAll(/^ {2}([a-z]+)(?:\||\s)/gm)].map(([, name]) => name ?? '');
  expect(names).toEqual(
    expect.arrayContaining(['start', 'serve', 'shell', 'run', 'session', 'logs', 'explain', 'setup']),
  );
  const helps = await Promise.all(names.map((name) => durabot([name, '--help'])));
  for (const { code, stdout: help } of helps) {
    expect(code).toBe(0);
    expect(help).toContain('Usage: durabot');
  }
});
