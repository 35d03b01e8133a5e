// Which models this process can ask: the configuration, the keys of the environment, and an Ollama on this machine if nothing else is set.
import {
  type Chosen,
  chooseModel,
  findPreset,
  type ModelChoice,
  type ModelSettings,
} from '../activities/model/choose-model.js';
import type { FailureFacts } from '../activities/model/failure-sentences.js';
import { listModels, probeOllama } from '../activities/model/list-models.js';
import type { ChosenModel } from '../activities/model/model.js';
import { createOpenModel } from '../activities/model/open-model.js';
import type { TurnSettings } from '../store/rows.js';
import type { Config } from './config.js';

export interface Models {
  choose(settings: TurnSettings): ChosenModel;
  /** What answers when a turn names no model. */
  standard: ModelChoice;
  /** The standard model's name, for the engine's UI. */
  name: string;
  /** Names for the sentences about its failures. */
  facts: FailureFacts;
  /** The names of modelPresets. */
  presets: string[];
  /** A preset, or a model that some provider serves; else the sentence for the person. */
  find(name: string): { name: string } | { reason: string };
}

const answersWithinMs = 500;

export async function openModels(config: Config): Promise<Models> {
  const settings = await toModelSettings(config);
  const { callTimeoutMs: callMs, streamIdleMs: idleMs } = config.requests;
  const open = createOpenModel({ settings, timeouts: { callMs, idleMs, streamMs: 600_000 } });
  const standard = chooseModel(settings);
  return {
    choose: ({ model }) => open(model),
    standard,
    name: standard.kind === 'chosen' ? standard.model : 'no model',
    facts: standard.kind === 'chosen' ? toFacts(standard) : {},
    presets: Object.keys(settings.presets),
    find(name) {
      const preset = findPreset(settings.presets, name);
      if ('name' in preset) return preset;
      const choice = chooseModel(settings, name);
      if (choice.kind === 'chosen') return { name };
      return Object.keys(settings.presets).length > 0 ? preset : { reason: choice.reason };
    },
  };
}

async function toModelSettings({ agent, modelPresets, providers, environment }: Config): Promise<ModelSettings> {
  const settings: ModelSettings = {
    defaults: agent,
    presets: modelPresets,
    providers,
    keys: environment.providerKeys,
    openaiBaseUrl: environment.openaiBaseUrl,
  };
  const needsNone = Object.keys(providers).length > 0 || environment.providerKeys.length > 0;
  if (!needsNone || agent.provider === 'ollama') {
    const ollama = await probeOllama(environment.ollamaHost, AbortSignal.timeout(answersWithinMs));
    return { ...settings, ollama };
  }
  const model = agent.model ?? (await firstOffered(settings));
  return { ...settings, defaults: { ...agent, model } };
}

/** An endpoint of the owner's own has no model that we know of: it says itself what it serves. */
async function firstOffered(settings: ModelSettings): Promise<string | undefined> {
  const { openaiBaseUrl: baseUrl, keys } = settings;
  if (!baseUrl || chooseModel(settings).kind === 'chosen') return undefined;
  const apiKey = keys.find(({ provider }) => provider === 'openai')?.apiKey;
  const signal = AbortSignal.timeout(answersWithinMs * 4);
  const [first] = await listModels({ baseUrl, apiKey, signal }).catch((): string[] => []); // then it is said that a model is missing
  return first;
}

function toFacts({ provider, model, keySetting }: Chosen): FailureFacts {
  return { provider, model, keySetting };
}

/** What was chosen, why, and how to change it. */
export function modelWords({ standard }: Models): string {
  if (standard.kind === 'impossible') return standard.reason;
  const { provider, model, rule } = standard;
  if (provider === 'demo') return `the built-in demo model, a stand-in (${rule})`;
  return `${model} at ${provider} (${rule})`;
}

/** The same for somebody who has not chosen: how to. */
export function modelAdvice(models: Models): string {
  const words = modelWords(models);
  return words.includes('durabot setup') ? words : `${words}; "durabot setup" chooses another one`;
}

/** For /model alone. */
export function modelList(models: Models, chosen: string | undefined): string {
  const presets =
    models.presets.length > 0 ? models.presets.join(', ') : 'none; add some to modelPresets in config.json';
  const now = chosen === undefined ? modelWords(models) : `${chosen}, chosen for this chat`;
  return `Model: ${now}\nPresets: ${presets}\n/model NAME chooses a preset or a model for this chat.`;
}
