import { expect, test } from '@jest/globals';
import { chooseModel, findPreset, type ModelSettings } from '../../../activities/model/choose-model.js';
import { knownModel } from '../../../activities/model/known-models.js';
import { listModels, probeOllama, toOllamaBase } from '../../../activities/model/list-models.js';
import { createOpenModel } from '../../../activities/model/open-model.js';
import { says, startModelServer } from '../../support/model-server.js';

interface Given extends Partial<Omit<ModelSettings, 'defaults'>> {
  model?: string;
  provider?: string;
}

const given = ({ model, provider = 'auto', ...more }: Given = {}): ModelSettings => ({
  defaults: { model, provider, maxTokens: 8192, contextWindowTokens: 200_000 },
  presets: {},
  providers: {},
  keys: [],
  ...more,
});
const key = (provider: string) => ({ provider, variable: `${provider.toUpperCase()}_API_KEY`, apiKey: 'k' });
const ollama = { baseUrl: 'http://127.0.0.1:11434/v1', models: ['llama3.2:latest', 'qwen3:8b'] };
const brief = (settings: ModelSettings, wanted?: string) => {
  const choice = chooseModel(settings, wanted);
  return choice.kind === 'chosen' ? `${choice.provider} ${choice.model}` : choice.reason;
};

test.each<[string, Given, string]>([
  ['nothing at all: the stand-in', {}, 'demo demo'],
  ['a key and no model', { keys: [key('openai')] }, 'openai gpt-5.4-mini'],
  ['Ollama and no key', { ollama }, 'ollama llama3.2:latest'],
  ['a key goes before Ollama', { keys: [key('openai')], ollama }, 'openai gpt-5.4-mini'],
  ['the forced provider', { model: 'gpt-5', provider: 'groq', keys: [key('openai'), key('groq')] }, 'groq gpt-5'],
  ['the prefix', { model: 'groq/llama-3', keys: [key('openai'), key('groq')] }, 'groq llama-3'],
  [
    'the prefix of a custom name',
    { model: 'mine/x/y', providers: { mine: { apiBase: 'http://10.0.0.1/v1' } } },
    'mine x/y',
  ],
  ['a prefix that is no provider of ours', { model: 'meta/llama', keys: [key('openrouter')] }, 'openrouter meta/llama'],
  ['the vendor of the model', { model: 'kimi-k2', keys: [key('openrouter'), key('moonshot')] }, 'moonshot kimi-k2'],
  ['a local base before a gateway', { model: 'llama3.2', keys: [key('openrouter')], ollama }, 'ollama llama3.2'],
  [
    'a gateway where Ollama has not that model',
    { model: 'phi4', keys: [key('openrouter')], ollama },
    'openrouter phi4',
  ],
  ['a gateway before any other key', { model: 'phi4', keys: [key('groq'), key('openrouter')] }, 'openrouter phi4'],
  ['any provider with a key', { model: 'phi4', keys: [key('groq')] }, 'groq phi4'],
  [
    'an open model is not the vendor’s',
    { model: 'gpt-oss:20b', keys: [key('openai'), key('openrouter')] },
    'openrouter gpt-oss:20b',
  ],
  ['the demo model by name', { model: 'demo', keys: [key('openai')] }, 'demo demo'],
])('%s', (_rule, settings, expected) => {
  expect(brief(given(settings))).toBe(expected);
});

test.each<[string, Given, RegExp]>([
  [
    'a model without any key',
    { model: 'gpt-5' },
    /No provider can serve the model gpt-5\. Set providers\.openai\.apiKey/,
  ],
  ['a forced provider without key', { model: 'x', provider: 'groq' }, /groq has no key\. Set providers\.groq\.apiKey/],
  [
    'a custom provider without address',
    { model: 'x', provider: 'mine', providers: { mine: { apiKey: 'k' } } },
    /Set providers\.mine\.apiBase/,
  ],
  [
    'a provider that nobody knows',
    { model: 'x', provider: 'constructor' },
    /no provider "constructor"\. There are: openai, /,
  ],
  [
    'a key whose provider has no default model',
    { keys: [key('groq')] },
    /GROQ_API_KEY is set but no model\. Set agents\.defaults\.model/,
  ],
  [
    'another address for the same name',
    { keys: [key('openai')], openaiBaseUrl: 'http://10.0.0.1/v1' },
    /OPENAI_API_KEY is set but no model/,
  ],
])('%s is told with the setting to change', (_case, settings, reason) => {
  expect(brief(given(settings))).toMatch(reason);
});

test('configured keys and addresses go before the environment', () => {
  const providers = { openai: { apiKey: 'mine', apiBase: 'https://proxy.example/v1', extraHeaders: { 'x-a': 'b' } } };
  expect(chooseModel(given({ model: 'gpt-5', providers, keys: [key('openai')] }))).toMatchObject({
    endpoint: { baseUrl: 'https://proxy.example/v1', apiKey: 'mine', extraHeaders: { 'x-a': 'b' } },
    keySetting: 'providers.openai.apiKey',
    rule: 'the model is one of openai',
  });
  expect(chooseModel(given({ model: 'gpt-5', keys: [key('openai')] }))).toMatchObject({ keySetting: 'OPENAI_API_KEY' });
});

test('a preset brings its own model, provider and limits, and an unknown one lists the valid ones', () => {
  const presets = { fast: { model: 'llama-3', provider: 'groq', maxTokens: 100, contextWindowTokens: 8000 } };
  const settings = given({ model: 'gpt-5', presets, keys: [key('openai'), key('groq')] });
  expect(chooseModel(settings, 'fast')).toMatchObject({
    provider: 'groq',
    model: 'llama-3',
    maxTokens: 100,
    contextWindowTokens: 8000,
  });
  expect(brief(settings)).toBe('openai gpt-5');
  expect(findPreset(presets, 'Fast')).toEqual({ name: 'fast' });
  expect(findPreset(presets, 'slow')).toEqual({ reason: 'There is no preset "slow". There are: fast.' });
});

test('a model chosen for a turn is not bound to the provider of the default', () => {
  const settings = given({ model: 'llama-3', provider: 'groq', keys: [key('openai'), key('groq')] });
  expect([brief(settings), brief(settings, 'gpt-5')]).toEqual(['groq llama-3', 'openai gpt-5']);
});

test('a smaller window is known, a larger one is not used unasked, an unknown price is null', () => {
  const chosen = (model: string, provider: string) => chooseModel(given({ model, keys: [key(provider)], ollama }));
  expect(chosen('gpt-4o-2024-08-06', 'openai')).toMatchObject({
    contextWindowTokens: 128_000,
    price: { inputMicros: 2_500_000 },
  });
  expect(chosen('gpt-4.1', 'openai')).toMatchObject({ contextWindowTokens: 200_000 });
  expect(chosen('openai/gpt-4o', 'openrouter')).toMatchObject({ contextWindowTokens: 128_000, price: null });
  expect(knownModel('groq', 'something-new')).toEqual({ windowTokens: null, price: null });
});

test('a model is opened once and answers; what nothing serves fails for good', async () => {
  const server = await startModelServer({ script: [says('Hello.')] });
  const providers = { mine: { apiBase: server.baseUrl } };
  const timeouts = { callMs: 0, streamMs: 0, idleMs: 0 };
  const open = createOpenModel({ settings: given({ model: 'mine/m', providers }), timeouts });
  const { provider, model } = open();
  expect(open().provider).toBe(provider);
  const request = {
    model,
    system: '',
    messages: [{ role: 'user' as const, text: 'Hi' }],
    tools: [],
    maxTokens: 10,
    temperature: 0,
  };
  const reply = await provider.generate(request, () => undefined, new AbortController().signal);
  expect([reply.text, server.requests()[0]?.body.model]).toEqual(['Hello.', 'm']);
  await server.close();
  const nothing = createOpenModel({ settings: given({ model: 'gpt-5' }), timeouts });
  expect(() => nothing()).toThrow(expect.objectContaining({ type: 'ModelNotChosen', nonRetryable: true }));
});

test('Ollama is found where it answers, and its absence is no fault', async () => {
  const server = await startModelServer({ script: [] });
  const signal = AbortSignal.timeout(5000);
  const host = new URL(server.baseUrl).host;
  expect(await probeOllama(host, signal)).toEqual({ baseUrl: server.baseUrl, models: ['scripted'] });
  expect(await listModels({ baseUrl: `${server.baseUrl}/`, signal })).toEqual(['scripted']);
  await server.close();
  expect(await probeOllama(host, signal)).toBeUndefined();
});

test.each([
  [undefined, 'http://127.0.0.1:11434/v1'],
  ['0.0.0.0', 'http://127.0.0.1:11434/v1'],
  ['box:9999', 'http://box:9999/v1'],
  ['http://box', 'http://box/v1'],
  ['https://box.example:444', 'https://box.example:444/v1'],
  [':::', 'http://127.0.0.1:11434/v1'],
])('OLLAMA_HOST=%s is asked at %s', (host, base) => {
  expect(toOllamaBase(host)).toBe(base);
});
