// Which provider serves a model. Pure: settings, keys and whether Ollama answers come as data; the rule that decided goes out
// with the choice, for `status`.
import { knownModel } from './known-models.js';
import { type KnownProvider, knownProviders } from './known-providers.js';
import type { ModelPrice } from './model.js';

export interface EndpointSettings {
  apiKey?: string;
  apiBase?: string;
  extraHeaders?: Record<string, string>;
  extraBody?: Record<string, unknown>;
}

export interface PresetSettings {
  model: string;
  provider?: string;
  maxTokens?: number;
  contextWindowTokens?: number;
}

export interface ModelSettings {
  /** `agents.defaults`. */
  defaults: { model?: string; provider: string; maxTokens: number; contextWindowTokens: number };
  presets: Record<string, PresetSettings>;
  /** `providers`, by name. */
  providers: Record<string, EndpointSettings>;
  /** Keys of the environment, in the order in which they are looked at. */
  keys: readonly { provider: string; variable: string; apiKey: string }[];
  /** OPENAI_BASE_URL. */
  openaiBaseUrl?: string;
  /** Ollama's answer at the start; undefined when it gave none. */
  ollama?: { baseUrl: string; models: readonly string[] };
}

export interface Chosen {
  kind: 'chosen';
  provider: string;
  /** `demo` alone has none. */
  endpoint?: {
    baseUrl: string;
    apiKey?: string;
    extraHeaders: Record<string, string>;
    extraBody: Record<string, unknown>;
  };
  /** "providers.openai.apiKey" or "OPENAI_API_KEY"; undefined where no key is used. */
  keySetting?: string;
  model: string;
  contextWindowTokens: number;
  maxTokens: number;
  price: ModelPrice | null;
  rule: string;
}

/** `reason` is a sentence for the person that names the setting to change. */
export type ModelChoice = Chosen | { kind: 'impossible'; reason: string };

/** `wanted`: the name of a preset or of a model, chosen for a turn; undefined takes the default. */
export function chooseModel(settings: ModelSettings, wanted?: string): ModelChoice {
  const preset = wanted === undefined ? undefined : ownValue(settings.presets, wanted);
  const model = preset?.model ?? wanted ?? settings.defaults.model;
  // A model chosen for one turn may lie at another provider than the default model does.
  const forced =
    preset?.provider ?? (preset === undefined && wanted === undefined ? settings.defaults.provider : 'auto');
  const found = findEndpoint(settings, { model, forced });
  if ('reason' in found) return { kind: 'impossible', ...found };
  const { endpoint, rule } = found;
  const known = knownModel(endpoint.name, found.model);
  const window = preset?.contextWindowTokens ?? settings.defaults.contextWindowTokens;
  return {
    kind: 'chosen',
    provider: endpoint.name,
    endpoint: endpoint.baseUrl === undefined ? undefined : { ...endpoint.settings, baseUrl: endpoint.baseUrl },
    keySetting: endpoint.keySetting,
    model: found.model,
    contextWindowTokens: preset?.contextWindowTokens ?? Math.min(window, known.windowTokens ?? window),
    maxTokens: preset?.maxTokens ?? settings.defaults.maxTokens,
    price: known.price,
    rule,
  };
}

/** For `/model`: the preset's name as it is written, or a sentence that lists the valid ones. */
export function findPreset(
  presets: Record<string, PresetSettings>,
  name: string,
): { name: string } | { reason: string } {
  const names = Object.keys(presets);
  const found =
    names.find((known) => known === name) ?? names.find((known) => known.toLowerCase() === name.toLowerCase());
  if (found !== undefined) return { name: found };
  const valid =
    names.length > 0 ? `There are: ${names.join(', ')}.` : 'None is set: add one to modelPresets in config.json.';
  return { reason: `There is no preset "${name}". ${valid}` };
}

interface Endpoint {
  name: string;
  kind: KnownProvider['kind'] | 'demo';
  models?: RegExp;
  defaultModel?: string;
  baseUrl?: string;
  keySetting?: string;
  settings: { apiKey?: string; extraHeaders: Record<string, string>; extraBody: Record<string, unknown> };
}

type Found = { endpoint: Endpoint; model: string; rule: string } | { reason: string };

const demo: Endpoint = {
  name: 'demo',
  kind: 'demo',
  defaultModel: 'demo',
  settings: { extraHeaders: {}, extraBody: {} },
};

function findEndpoint(settings: ModelSettings, { model, forced }: { model?: string; forced: string }): Found {
  const usable = usableEndpoints(settings);
  if (forced !== 'auto') return byName(settings, usable, forced, model);
  if (model === undefined) return withoutModel(settings, usable);
  if (model === 'demo') return { endpoint: demo, model, rule: 'the built-in demo model by its name' };

  const [prefix = '', ...rest] = model.split('/');
  const named = rest.length > 0 ? usable.find(({ name }) => name === prefix) : undefined;
  if (named) return { endpoint: named, model: rest.join('/'), rule: `the prefix "${prefix}/" of the model` };
  const vendor = usable.find(({ models }) => models?.test(model));
  if (vendor) return { endpoint: vendor, model, rule: `the model is one of ${vendor.name}` };
  const local = usable.find((endpoint) => endpoint.kind === 'local' && mayServe(settings, endpoint, model));
  if (local) return { endpoint: local, model, rule: `the local base ${local.name}` };
  const gateway = usable.find(({ kind }) => kind === 'gateway');
  if (gateway) return { endpoint: gateway, model, rule: `the gateway ${gateway.name}` };
  const any = usable.find(({ kind }) => kind !== 'local');
  if (any) return { endpoint: any, model, rule: `${any.name} has a key` };

  const owner = Object.keys(knownProviders).find(
    (name) => name === prefix || knownProviders[name]?.models?.test(model),
  );
  const key = `providers.${owner ?? '<name>'}.apiKey`;
  return {
    reason: `No provider can serve the model ${model}. Set ${key}, or choose another model with \`durabot setup\`.`,
  };
}

function byName(settings: ModelSettings, usable: readonly Endpoint[], name: string, model: string | undefined): Found {
  if (name === 'demo') return { endpoint: demo, model: 'demo', rule: 'the built-in demo model, as configured' };
  const endpoint = usable.find((candidate) => candidate.name === name);
  if (endpoint) {
    const chosen = model === undefined ? endpoint.defaultModel : withoutPrefix(model, name);
    if (chosen !== undefined) return { endpoint, model: chosen, rule: `the provider ${name}, as configured` };
    return { reason: `The provider ${name} is set but no model. Set agents.defaults.model, or run \`durabot setup\`.` };
  }
  if (ownValue(knownProviders, name)) {
    return { reason: `The provider ${name} has no key. Set providers.${name}.apiKey, or run \`durabot setup\`.` };
  }
  if (ownValue(settings.providers, name)) {
    return { reason: `The provider ${name} has no address. Set providers.${name}.apiBase, or run \`durabot setup\`.` };
  }
  const names = [...new Set([...Object.keys(settings.providers), ...Object.keys(knownProviders), 'demo'])];
  return {
    reason: `There is no provider "${name}". There are: ${names.join(', ')}; any other name needs its apiBase.`,
  };
}

function withoutModel({ ollama }: ModelSettings, usable: readonly Endpoint[]): Found {
  const withDefault = usable.find(({ defaultModel }) => defaultModel !== undefined);
  if (withDefault) {
    const { keySetting, defaultModel = '' } = withDefault;
    return { endpoint: withDefault, model: defaultModel, rule: `no model is set; ${keySetting} is there` };
  }
  const [key] = usable.filter(({ kind }) => kind !== 'local');
  if (key) {
    const what = key.keySetting ?? `providers.${key.name}`;
    return {
      reason: `${what} is set but no model. Set agents.defaults.model to a model of ${key.name}, or run \`durabot setup\`.`,
    };
  }
  const local = usable.find(({ name }) => name === 'ollama');
  const [first] = ollama?.models ?? [];
  if (local && first)
    return { endpoint: local, model: first, rule: 'no model and no key is set; Ollama runs on this machine' };
  return { endpoint: demo, model: 'demo', rule: 'no provider is configured: run `durabot setup`' };
}

/** Those that can be asked: with a key, or without one where none is needed. Configured ones first. */
function usableEndpoints(settings: ModelSettings): Endpoint[] {
  const { providers, keys, ollama, openaiBaseUrl } = settings;
  const names = [...Object.keys(providers), ...keys.map(({ provider }) => provider), ...(ollama ? ['ollama'] : [])];
  return [...new Set(names)].flatMap((name): Endpoint[] => {
    const own = ownValue(providers, name);
    const known = ownValue(knownProviders, name);
    const fromEnvironment = keys.find(({ provider }) => provider === name);
    const apiKey = own?.apiKey ?? fromEnvironment?.apiKey;
    const elsewhere = name === 'openai' ? openaiBaseUrl : name === 'ollama' ? ollama?.baseUrl : undefined;
    const baseUrl = own?.apiBase ?? elsewhere ?? known?.baseUrl;
    const keyless = own?.apiBase !== undefined || known?.kind === 'local';
    if (baseUrl === undefined || (apiKey === undefined && !keyless)) return [];
    // A vendor's own models are not promised behind another address.
    const atHome = own?.apiBase === undefined && (name !== 'openai' || openaiBaseUrl === undefined);
    return [
      {
        name,
        kind: known?.kind ?? (isLoopback(baseUrl) ? 'local' : 'direct'),
        models: known?.models,
        defaultModel: atHome ? known?.defaultModel : undefined,
        baseUrl,
        keySetting: own?.apiKey === undefined ? fromEnvironment?.variable : `providers.${name}.apiKey`,
        settings: { apiKey, extraHeaders: own?.extraHeaders ?? {}, extraBody: own?.extraBody ?? {} },
      },
    ];
  });
}

/** Ollama says what it has; of other local bases nothing is known before they are asked. */
function mayServe({ ollama, providers }: ModelSettings, { name }: Endpoint, model: string): boolean {
  if (name !== 'ollama' || ownValue(providers, 'ollama')) return true;
  return ollama?.models.some((known) => known === model || known === `${model}:latest`) ?? false;
}

function withoutPrefix(model: string, provider: string): string {
  return model.startsWith(`${provider}/`) ? model.slice(provider.length + 1) : model;
}

function isLoopback(baseUrl: string): boolean {
  return URL.canParse(baseUrl) && /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(new URL(baseUrl).hostname);
}

/** Names come from people: "constructor" is one, too. */
function ownValue<Value>(values: Record<string, Value>, name: string): Value | undefined {
  return Object.hasOwn(values, name) ? values[name] : undefined;
}
