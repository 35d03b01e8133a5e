// `durabot setup` by flags: what is saved, and what is said of a wrong answer. The questions themselves are tried by hand.
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { type KeyedEndpoint, startKeyedEndpoint } from '../../support/keyed-endpoint.js';

const folder = mkdtempSync(join(tmpdir(), 'durabot-setup-'));
const home = join(folder, 'home');
const config = join(home, 'config.json');
const key = 'sk-test-of-the-setup-0123456789';
let endpoint: KeyedEndpoint;
let deadAddress: string;

beforeAll(async () => {
  endpoint = await startKeyedEndpoint(key, ['small-1', 'large-1']);
  const gone = await startKeyedEndpoint(key, []);
  deadAddress = gone.baseUrl;
  await gone.close();
});
afterAll(async () => {
  await endpoint.close();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(() => rmSync(home, { recursive: true, force: true }));

function setup(args: string[], { input = '', environment = {} }: { input?: string; environment?: object } = {}) {
  const source = `const { main } = await import('./dist/workers/cli.js'); await main(process.argv.slice(1));`;
  const env = { PATH: process.env.PATH, HOME: folder, DURABOT_HOME: home, OLLAMA_HOST: '127.0.0.1:9', ...environment };
  return new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
    const child = execFile(
      process.execPath,
      ['--input-type=module', '-e', source, '--', 'setup', ...args],
      { env },
      (error, stdout, stderr) => resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr }),
    );
    child.stdin?.end(input);
  });
}

const mine = () => ['--provider', 'mine', '--base-url', endpoint.baseUrl, '--key-stdin'];

test('what works is saved for its owner only, and the next command is named', async () => {
  const { code, stdout, stderr } = await setup([...mine(), '--model', 'small-1'], { input: `${key}\n` });
  expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringMatching(/^small-1 answered after [\d.]+ s\.\n$/) });
  expect(stdout).toContain('Next       durabot start');
  expect(stdout + stderr).not.toContain(key);
  expect(statSync(config).mode & 0o777).toBe(0o600);
  expect(JSON.parse(readFileSync(config, 'utf8').replace(/^\/\/.*$/m, ''))).toEqual({
    agents: { defaults: { provider: 'mine', model: 'small-1' } },
    providers: { mine: { apiBase: endpoint.baseUrl, apiKey: key } },
  });
  expect(readdirSync(home).sort()).toEqual(['config.json', 'workspace']);
});

test.each([
  ['a bad key', () => [...mine(), '--model', 'small-1'], 'sk-wrong', /^mine refused the key\. Check that it is whole/],
  [
    'a missing model',
    () => [...mine(), '--model', 'smal-1'],
    key,
    /^mine does not know the model smal-1\. The nearest are: small-1/,
  ],
  [
    'a wrong path',
    () => [
      '--provider',
      'mine',
      '--base-url',
      endpoint.baseUrl.replace('/v1', '/v2'),
      '--key-stdin',
      '--model',
      'small-1',
    ],
    key,
    /^There is a server at .*\/v2, but it knows no \/chat\/completions there/,
  ],
  [
    'a dead address',
    () => ['--provider', 'mine', '--base-url', deadAddress, '--key-stdin', '--model', 'small-1'],
    key,
    /^Nothing that speaks OpenAI's protocol answers at http:\S+ \(ECONNREFUSED\)/,
  ],
])('%s has a message of its own, and nothing is saved', async (_name, args, input, sentence) => {
  const { code, stdout, stderr } = await setup(args(), { input });
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toMatch(sentence);
  expect(stderr).toContain('Nothing was saved.');
  expect(stderr).not.toContain(input);
  expect(existsSync(config)).toBe(false);
});

test.each([
  [['--provider', 'nope', '--model', 'x'], 'There is no provider "nope"'],
  [['--provider', 'groq'], 'Which model of groq? Say it with --model.'],
  [['--model', 'x'], '--provider is missing'],
  [
    ['--provider', 'openai', '--key-env', 'NO_SUCH_KEY'],
    'needs the environment variable NO_SUCH_KEY, which is not set. Nothing was saved.',
  ],
  [['--timezone', 'Nowhere/Town'], 'agents.defaults.timezone must be a time zone'],
  [['--key-env', 'A', '--key-stdin'], '--key-env and --key-stdin exclude each other.'],
])('%j is wrong use', async (args, sentence) => {
  const { code, stderr } = await setup(args);
  expect(stderr).toContain(sentence);
  expect(code).toBe(2);
  expect(existsSync(config)).toBe(false);
});

test('in an empty home it makes config, workspace and templates, and a second time it changes nothing', async () => {
  await setup([]);
  const notes = join(home, 'workspace', 'USER.md');
  expect(readdirSync(join(home, 'workspace')).sort()).toEqual([
    ...['AGENTS.md', 'HEARTBEAT.md', 'MEMORY.md', 'SOUL.md', 'TOOLS.md', 'USER.md'],
  ]);
  writeFileSync(notes, 'I am edited.');
  writeFileSync(config, '{ /* mine */ "agents": { "defaults": { "temperature": 1 } } }');
  const { stdout } = await setup([]);
  expect(stdout).toMatch(/Config .*\(unchanged\)\nWorkspace .*\(unchanged\)/);
  expect(readFileSync(notes, 'utf8')).toBe('I am edited.');
  await setup(['--timezone', 'Europe/Berlin']);
  expect(readFileSync(config, 'utf8')).toMatch(/\{ \/\* mine \*\/.*"temperature": 1,.*"timezone": "Europe\/Berlin"/s);
});

test('a key in a variable is saved by the name of the variable', async () => {
  const environment = { MY_KEY: key };
  const args = ['--provider', 'mine', '--base-url', endpoint.baseUrl, '--model', 'large-1', '--key-env', 'MY_KEY'];
  expect(await setup(args, { environment })).toMatchObject({ code: 0 });
  expect(readFileSync(config, 'utf8')).toContain(`"apiKey": "\${MY_KEY}"`);
});
