import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { ConfigError, type ConfigFlags, loadConfig } from '../../workers/config.js';
import { settingsJsonSchema } from '../../workers/settings/schema.js';

const folder = mkdtempSync(join(tmpdir(), 'durabot-config-'));
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, 'config.json');

function load(text: string, environment: NodeJS.ProcessEnv = {}, flags: ConfigFlags = {}) {
  writeFileSync(path, text);
  return loadConfig({ configPath: path, environment: { DURABOT_HOME: folder, ...environment }, flags });
}

/** What a person reads, without the folder, which differs from run to run. */
function complaint(text: string, environment: NodeJS.ProcessEnv = {}, flags: ConfigFlags = {}): string {
  try {
    load(text, environment, flags);
  } catch (error) {
    if (error instanceof ConfigError) return error.message.replaceAll(path, 'config.json');
    throw error;
  }
  return 'accepted';
}

const defaults = (keys: string) => `{ "agents": { "defaults": { ${keys} } } }`;

test('an empty file gives the defaults', () => {
  const config = load('');
  expect(config.agent).toMatchObject({
    provider: 'auto',
    maxTokens: 8192,
    temperature: 0.1,
    contextWindowTokens: 200_000,
  });
  expect(config.exec).toMatchObject({ enable: true, sandbox: true, timeoutMs: 60_000 });
  expect(config.limits.turn).toEqual({
    modelCalls: 200,
    workMs: 7_200_000,
    tokens: 2_000_000,
    costMicros: undefined,
    repeatedCalls: 3,
  });
  expect(config.limits.subagent).toMatchObject({ modelCalls: 15, workMs: 3_600_000 });
  expect(config.requests).toEqual({ maxConcurrent: 8, callTimeoutMs: 300_000, streamIdleMs: 90_000 });
  expect(config.workspace).toBe(join(folder, 'workspace'));
});

test('a home without a file gives the defaults as well', () => {
  const home = join(folder, 'other');
  expect(loadConfig({ environment: { DURABOT_HOME: home } })).toMatchObject({ home, configFileExists: false });
});

test('comments, trailing commas and snake_case are read', () => {
  const config = load('{ // mine\n "agents": { "defaults": { "max_tokens": 5, /* why */ "model": "small", }, }, }');
  expect(config.agent).toMatchObject({ maxTokens: 5, model: 'small' });
});

test('a flag wins over a variable, a variable over the file', () => {
  const text = defaults('"model": "file", "temperature": 0.2, "maxTokens": 10');
  const config = load(
    text,
    { DURABOT_AGENTS__DEFAULTS__MODEL: 'variable', DURABOT_AGENTS__DEFAULTS__TEMPERATURE: '0.3' },
    { model: 'flag' },
  );
  expect(config.agent).toMatchObject({ model: 'flag', temperature: 0.3, maxTokens: 10 });
});

test('a variable may set a list, a switch, a duration and a provider', () => {
  const config = load('{ "providers": { "myHost": { "apiBase": "http://127.0.0.1:1" } } }', {
    DURABOT_TOOLS__EXEC__ALLOWED_ENV_KEYS: 'LANG, TZ',
    DURABOT_TOOLS__EXEC__SANDBOX: 'off',
    DURABOT_TOOLS__EXEC__TIMEOUT: '2m',
    DURABOT_PROVIDERS__MYHOST__API_KEY: 'k',
    TZ: 'UTC',
  });
  expect(config.exec).toMatchObject({ allowedEnvKeys: ['LANG', 'TZ'], sandbox: false, timeoutMs: 120_000 });
  expect(config.providers.myHost).toMatchObject({ apiBase: 'http://127.0.0.1:1', apiKey: 'k' });
  expect(config.environment.forCommands).toEqual({ TZ: 'UTC' });
});

test('text is filled in from the environment', () => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: so the file names a variable
  const config = load('{ "providers": { "openai": { "apiKey": "${MY_KEY}" } } }', { MY_KEY: 'secret' });
  expect(config.providers.openai?.apiKey).toBe('secret');
});

test('keys of the usual variables are gathered in order', () => {
  const config = load('', { GROQ_API_KEY: 'g', OPENAI_API_KEY: 'o', MISTRAL_API_KEY: '', OPENAI_BASE_URL: 'http://x' });
  expect(config.environment.providerKeys.map(({ provider }) => provider)).toEqual(['openai', 'groq']);
  expect(config.environment.openaiBaseUrl).toBe('http://x');
});

test('money is kept in millionths of a dollar', () => {
  expect(load('{ "budgets": { "perTurn": { "money": 0.25 } } }').limits.turn.costMicros).toBe(250_000);
});

const durations = 'a duration: seconds as a number, or 30s, 5m, 2h, 7d';
const wrong: { input: string; environment?: NodeJS.ProcessEnv; flags?: ConfigFlags; says: string }[] = [
  { input: '{ "agents" {} }', says: 'config.json, line 1, column 12: a colon is expected after the key.' },
  {
    input: '{\n  "agents": {}\n  "tools": {}\n}',
    says: 'config.json, line 3, column 3: a comma is missing before this.',
  },
  { input: '{ "agents": {}', says: 'config.json, line 1, column 15: a closing brace } is missing.' },
  { input: '{ "a": "b }', says: 'config.json, line 1, column 8: a text is not closed by a double quote.' },
  {
    input: '{ "agents": yes }',
    says: 'config.json, line 1, column 13: a word that JSON does not know; text needs double quotes.',
  },
  { input: '{} {}', says: 'config.json, line 1, column 4: the file goes on after its end; remove what follows.' },
  { input: '[]', says: 'config.json, line 1, column 1: the file must hold one object in braces.' },
  {
    input: defaults('"modl": "x"'),
    says: 'config.json, line 1, column 29: there is no key agents.defaults.modl; the nearest is model.',
  },
  {
    input: '{ "zzzzzz": 1 }',
    says: 'config.json, line 1, column 3: there is no key zzzzzz; there are $schema, agents, modelPresets, providers, tools, budgets, limits, policy.',
  },
  {
    input: defaults('"model": "a",\n"model": "b"'),
    says: 'config.json, line 2, column 1: "model" stands here a second time; the first is in line 1. Keep one.',
  },
  {
    input: defaults('"maxTokens": 1,\n"max_tokens": 2'),
    says: 'config.json, line 2, column 1: "max_tokens" stands here a second time; the first is in line 1. Keep one.',
  },
  {
    input: defaults('"temperature": "hot"'),
    says: 'config.json, line 1, column 44: agents.defaults.temperature must be a number from 0 to 2, but is "hot".',
  },
  {
    input: defaults('"temperature": 3'),
    says: 'config.json, line 1, column 44: agents.defaults.temperature must be a number from 0 to 2, but is 3.',
  },
  {
    input: defaults('"maxTokens": 1.5'),
    says: 'config.json, line 1, column 42: agents.defaults.maxTokens must be a whole number from 1 to 1000000000, but is 1.5.',
  },
  {
    input: defaults('"fallbackModels": "a"'),
    says: 'config.json, line 1, column 47: agents.defaults.fallbackModels must be a list of texts, but is "a".',
  },
  {
    input: defaults('"timezone": "Mars/Base"'),
    says: 'config.json, line 1, column 41: agents.defaults.timezone must be a time zone by its IANA name, for example Europe/Berlin, but is "Mars/Base".',
  },
  { input: '{ "agents": 3 }', says: 'config.json, line 1, column 13: agents must be an object in braces, but is 3.' },
  {
    input: '{ "tools": { "exec": { "sandbox": "maybe" } } }',
    says: 'config.json, line 1, column 35: tools.exec.sandbox must be true, false, on or off, but is "maybe".',
  },
  {
    input: '{ "tools": { "exec": { "timeout": "5 minutes" } } }',
    says: `config.json, line 1, column 35: tools.exec.timeout must be ${durations}, but is "5 minutes".`,
  },
  {
    input: '{ "policy": { "rules": [{ "decision": "allow" }] } }',
    says: 'config.json, line 1, column 25: policy.rules.0.tool is missing; it must be text that is not empty.',
  },
  {
    input: '{ "policy": { "rules": [{ "tool": "exec", "decision": "maybe" }] } }',
    says: 'config.json, line 1, column 55: policy.rules.0.decision must be one of allow, ask, deny, but is "maybe".',
  },
  {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: so the file names a variable
    input: '{ "providers": { "openai": { "apiKey": "${MISSING}" } } }',
    says: 'config.json, line 1, column 40: providers.openai.apiKey needs the environment variable MISSING, which is not set.',
  },
  {
    input: '{ "providers": { "x": { "apiBase": "localhost:1" } } }',
    says: 'config.json, line 1, column 36: providers.x.apiBase must be an address that begins with http:// or https://, but is text.',
  },
  {
    input: '{ "providers": { "x": { "apiKey": 12345 } } }',
    says: 'config.json, line 1, column 35: providers.x.apiKey must be text that is not empty, but is a number.',
  },
  {
    input: '',
    environment: { DURABOT_AGENTS__DEFAULTS__MODLE: 'x' },
    says: 'DURABOT_AGENTS__DEFAULTS__MODLE: there is no key agents.defaults.modle; the nearest is model.',
  },
  {
    input: '',
    environment: { DURABOT_AGENTS__DEFAULTS__MAX_TOKENS: 'many' },
    says: 'DURABOT_AGENTS__DEFAULTS__MAX_TOKENS: agents.defaults.maxTokens must be a whole number from 1 to 1000000000, but is "many".',
  },
  {
    input: '',
    environment: { DURABOT_MAX_CONCURRENT_REQUESTS: '-1' },
    says: 'DURABOT_MAX_CONCURRENT_REQUESTS: must be a whole number; 0 means no cap, but is "-1".',
  },
  {
    input: '',
    environment: { DURABOT_LLM_TIMEOUT_S: 'soon' },
    says: `DURABOT_LLM_TIMEOUT_S: must be ${durations}; 0 means no limit, but is "soon".`,
  },
  {
    input: '',
    environment: { DURABOT_STREAM_IDLE_TIMEOUT_S: '2h' },
    says: 'DURABOT_STREAM_IDLE_TIMEOUT_S: must be a duration above 0 and at most 3600 seconds, but is "2h".',
  },
  {
    input: '',
    flags: { temperature: 3 },
    says: '--temperature: agents.defaults.temperature must be a number from 0 to 2, but is 3.',
  },
];

test.each(wrong)('$says', ({ input, environment, flags, says }) => {
  expect(complaint(input, environment, flags)).toBe(says);
});

test('all that is wrong is told at once', () => {
  const lines = complaint(defaults('"modl": "x", "temperature": 9')).split('\n');
  expect(lines).toHaveLength(2);
});

test('a file that was asked for must be there', () => {
  expect(() => loadConfig({ configPath: join(folder, 'other.json'), environment: {} })).toThrow(
    /There is no config file .*other\.json/,
  );
});

test('config.schema.json is what the program uses; npm run schema writes it', () => {
  expect(JSON.parse(readFileSync('config.schema.json', 'utf8'))).toEqual(settingsJsonSchema());
});
