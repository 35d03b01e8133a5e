// The question-and-answer of `durabot setup`. Nothing is saved here: leaving half-way leaves everything as it was.
import * as clack from '@clack/prompts';
import { knownProviders } from '../../activities/model/known-providers.js';
import { listModels, probeOllama } from '../../activities/model/list-models.js';
import type { Config } from '../config.js';
import type { ModelAnswer, SetupAnswers } from './answers.js';
import { tryModel } from './try-model.js';

/** The person has left. */
export class Left extends Error {}

const other = 'another endpoint';
const later = 'later';

const names: Record<string, string> = {
  [other]: 'Another OpenAI-compatible endpoint',
  [later]: 'None for now',
  openai: 'OpenAI',
  openrouter: 'OpenRouter',
  deepseek: 'DeepSeek',
  gemini: 'Google Gemini',
  groq: 'Groq',
  mistral: 'Mistral',
  moonshot: 'Moonshot (Kimi)',
  dashscope: 'DashScope (Qwen)',
  zhipu: 'Zhipu (GLM)',
  minimax: 'MiniMax',
  xai: 'xAI (Grok)',
  siliconflow: 'SiliconFlow',
  together: 'Together',
  aihubmix: 'AiHubMix',
  lmstudio: 'LM Studio, on this machine',
  vllm: 'vLLM, on this machine',
  ollama: 'Ollama, on this machine',
};

const hints: Record<string, (hasOllama: boolean) => string | undefined> = {
  ollama: (hasOllama) => (hasOllama ? 'it runs' : undefined),
  [later]: () => 'the demo model answers',
};

export async function askPerson(config: Config): Promise<SetupAnswers> {
  clack.intro('durabot setup');
  const model = await askModel(config);
  const workspace = answered(
    await clack.text({
      message: 'Where may the agent work? It reads and writes files in this folder only.',
      initialValue: config.workspace,
      validate: (text) => (text?.trim() ? undefined : 'A folder is needed.'),
    }),
  );
  const timezone = answered(
    await clack.text({
      message: 'Your time zone, for "tomorrow at nine"',
      initialValue: config.timezone,
      validate: (zone) => (isTimeZone(zone ?? '') ? undefined : 'An IANA name is needed, for example Europe/Berlin.'),
    }),
  );
  return {
    model,
    workspace: workspace.trim() === config.workspace ? undefined : workspace.trim(),
    timezone: timezone.trim(),
  };
}

async function askModel(config: Config): Promise<ModelAnswer | undefined> {
  const ollama = await probeOllama(config.environment.ollamaHost, AbortSignal.timeout(500));
  const provider = await askProvider(config, ollama !== undefined);
  if (provider === later) {
    clack.log.info('The built-in demo model answers until then. It follows simple orders and says what it is.');
    return undefined;
  }
  const isOther = provider === other;
  const name = isOther ? await askName() : provider;
  const known = knownProviders[name]?.baseUrl;
  let answer: ModelAnswer = {
    provider: name,
    apiBase:
      known === undefined || config.providers[name]?.apiBase
        ? await askAddress(config.providers[name]?.apiBase)
        : undefined,
    apiKey: undefined,
    model: '',
  };
  if (name === 'ollama' && ollama && !config.providers.ollama)
    answer.apiBase = ollama.baseUrl === known ? undefined : ollama.baseUrl;
  answer.apiKey = await askKey(config, name);
  answer.model = await askModelName(config, answer);
  for (;;) {
    const spinner = clack.spinner();
    spinner.start(`Asking ${answer.model} for one word`);
    const verdict = await tryModel(toTrial(config, answer), new AbortController().signal);
    if (verdict.works) {
      spinner.stop(`${answer.model} answered after ${(verdict.tookMs / 1000).toFixed(1)} s: "${verdict.answer}"`);
      return answer;
    }
    spinner.error(verdict.sentence);
    const again = answered(
      await clack.select({
        message: 'What now?',
        initialValue: verdict.wrong,
        options: [
          { value: 'key', label: 'Enter another key' },
          { value: 'address', label: 'Enter another address' },
          { value: 'model', label: 'Choose another model' },
          { value: 'account', label: 'Try again' },
          { value: 'provider', label: 'Choose another provider' },
        ],
      }),
    );
    if (again === 'provider') return askModel(config);
    if (again === 'key') answer = { ...answer, apiKey: await enterKey(name) };
    if (again === 'address') answer = { ...answer, apiBase: await askAddress(answer.apiBase ?? known) };
    if (again === 'model') answer = { ...answer, model: await askModelName(config, answer) };
  }
}

async function askProvider(config: Config, hasOllama: boolean): Promise<string> {
  const withKey = new Set([
    ...Object.keys(config.providers),
    ...config.environment.providerKeys.map((key) => key.provider),
  ]);
  const likely = [...withKey, ...(hasOllama ? ['ollama'] : []), 'openai', 'openrouter', other];
  const order = [...new Set([...likely, ...Object.keys(names), later])];
  return answered(
    await clack.select({
      message: 'Which model provider shall answer?',
      maxItems: 10,
      options: order.map((value) => ({
        value,
        label: names[value] ?? value,
        hint: withKey.has(value) ? 'a key is there' : hints[value]?.(hasOllama),
      })),
    }),
  );
}

async function askName(): Promise<string> {
  const name = await clack.text({
    message: 'A name for it',
    placeholder: 'mine',
    defaultValue: 'mine',
    validate: (text) =>
      /^[a-z][a-z0-9_-]{0,30}$/i.test(text || 'mine') ? undefined : 'Letters, digits, - and _ are possible.',
  });
  return answered(name).trim() || 'mine';
}

async function askAddress(before: string | undefined): Promise<string> {
  const address = await clack.text({
    message: 'Its address, up to where /chat/completions is appended',
    placeholder: 'http://127.0.0.1:8000/v1',
    initialValue: before,
    validate: (text) =>
      /^https?:\/\/\S+$/.test(text ?? '') && URL.canParse(text ?? '')
        ? undefined
        : 'It begins with http:// or https://.',
  });
  return answered(address).trim().replace(/\/+$/, '');
}

async function askKey(config: Config, provider: string): Promise<string | undefined> {
  const variable = config.environment.providerKeys.find((key) => key.provider === provider)?.variable;
  const before = config.providers[provider]?.apiKey;
  const isLocal = knownProviders[provider]?.kind === 'local';
  if (isLocal && variable === undefined && before === undefined) return undefined;
  if (variable === undefined && before === undefined) return enterKey(provider);
  const kept = variable === undefined ? 'kept' : 'variable';
  const choice = answered(
    await clack.select({
      message: 'Its key',
      options: [
        variable === undefined
          ? { value: 'kept', label: 'The one that is set' }
          : { value: 'variable', label: `The one in ${variable}` },
        { value: 'another', label: 'Another one' },
      ],
      initialValue: kept,
    }),
  );
  if (choice === 'variable') return `\${${variable}}`;
  return choice === 'kept' ? before : enterKey(provider);
}

async function enterKey(provider: string): Promise<string | undefined> {
  const key = answered(
    await clack.password({
      message: `The key of ${names[provider] ?? provider} (empty: it needs none). It is kept in config.json, for you only.`,
    }),
  );
  return key?.trim() || undefined;
}

async function askModelName(config: Config, answer: ModelAnswer): Promise<string> {
  const { baseUrl, apiKey } = toTrial(config, answer);
  const spinner = clack.spinner();
  spinner.start('Asking for the list of its models');
  const found = await listModels({ baseUrl, apiKey, signal: AbortSignal.timeout(10_000) }).catch((): string[] => []);
  spinner.stop(found.length > 0 ? `It offers ${found.length} models` : 'It gave no list of models');
  const usual = answer.model || config.agent.model || (knownProviders[answer.provider]?.defaultModel ?? '');
  if (found.length === 0) {
    const name = await clack.text({
      message: 'Which model?',
      initialValue: usual,
      validate: (text) => (text?.trim() ? undefined : 'The name of a model is needed.'),
    });
    return answered(name).trim();
  }
  return answered(
    await clack.autocomplete({
      message: 'Which model? Type to search.',
      maxItems: 10,
      initialValue: found.includes(usual) ? usual : found[0],
      options: found.map((value) => ({ value, label: value })),
    }),
  );
}

export function toTrial(config: Config, { provider, apiBase, apiKey, model }: ModelAnswer) {
  const variable = /^\$\{(\w+)\}$/.exec(apiKey ?? '')?.[1];
  const fromVariable = config.environment.providerKeys.find((key) => key.variable === variable)?.apiKey;
  const openaiBase = provider === 'openai' ? config.environment.openaiBaseUrl : undefined;
  return {
    provider,
    baseUrl: apiBase ?? openaiBase ?? knownProviders[provider]?.baseUrl ?? '',
    apiKey: variable === undefined ? apiKey : fromVariable,
    model,
  };
}

function answered<Value>(value: Value): Exclude<Value, symbol> {
  if (clack.isCancel(value)) throw new Left();
  return value as Exclude<Value, symbol>;
}

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return name !== '';
  } catch {
    return false;
  }
}
