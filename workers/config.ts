// The one reader of `config.json` and of the environment. Flag before variable before file before default.
// All that is wrong is told at once, and nothing starts half configured.
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { taskQueue } from '../workflows/contract.js';
import { errorCode } from './local-stack/files.js';
import type { StackSettings } from './local-stack/stack-settings.js';
import { type FileContents, readConfigText } from './settings/config-file.js';
import type { Config, ConfigFlags } from './settings/config-shape.js';
import { ConfigError, type Place } from './settings/problem.js';
import { type Settings, settingsSchema } from './settings/schema.js';
import { sentenceOf } from './settings/sentence.js';
import { readSingleVariables, type SingleVariables } from './settings/single-variables.js';
import { readVariables } from './settings/variables.js';

export type { Config, ConfigFlags, ProviderKey, TurnLimits } from './settings/config-shape.js';
export { ConfigError } from './settings/problem.js';
export type { ModelPreset, PolicyRule, ProviderSettings } from './settings/schema.js';

/** The usual variables with a provider's key, in the order in which they are looked at when nothing is configured. */
const providerKeyVariables = [
  ['openai', 'OPENAI_API_KEY'],
  ['openrouter', 'OPENROUTER_API_KEY'],
  ['deepseek', 'DEEPSEEK_API_KEY'],
  ['gemini', 'GEMINI_API_KEY'],
  ['groq', 'GROQ_API_KEY'],
  ['mistral', 'MISTRAL_API_KEY'],
  ['moonshot', 'MOONSHOT_API_KEY'],
  ['dashscope', 'DASHSCOPE_API_KEY'],
  ['zhipu', 'ZHIPU_API_KEY'],
  ['siliconflow', 'SILICONFLOW_API_KEY'],
  ['xai', 'XAI_API_KEY'],
  ['together', 'TOGETHER_API_KEY'],
] as const;

export interface LoadOptions {
  /** As given by `--config`: then the file must be there. */
  configPath?: string | undefined;
  flags?: ConfigFlags;
  /** Tests only; otherwise the environment of the process. */
  environment?: NodeJS.ProcessEnv;
}

/** Throws ConfigError, whose message has one line for each thing to change. */
export function loadConfig({ configPath, flags = {}, environment = process.env }: LoadOptions = {}): Config {
  const home = folder(environment.DURABOT_HOME || join(homedir(), '.durabot'), process.cwd());
  const path = configPath === undefined ? join(home, 'config.json') : folder(configPath, process.cwd());
  const text = readConfigFile(path, configPath !== undefined);
  const file = text === undefined ? emptyFile() : readConfigText({ name: path, text }, settingsSchema, environment);
  const variables = readVariables(environment, settingsSchema, file.values);
  const problems = [...file.problems, ...variables.problems];
  for (const { path: keyPath, value, place } of variables.overrides) put(file, keyPath, value, place);
  for (const { path: keyPath, value, place } of overridesOf(flags)) put(file, keyPath, value, place);
  const checked = settingsSchema.safeParse(file.values);
  if (!checked.success) problems.push(...checked.error.issues.map((issue) => sentenceOf(issue.path, file)));
  const single = readSingleVariables(environment, problems);
  if (!checked.success || problems.length > 0) throw new ConfigError([...new Set(problems)]);
  return toConfig({ settings: checked.data, home, path, fileExists: text !== undefined, flags, environment, single });
}

/** What holds when the file says nothing: for `doctor`, which looks at the rest even when the file is wrong. */
export function defaultConfig(environment: NodeJS.ProcessEnv = process.env): Config {
  const home = folder(environment.DURABOT_HOME || join(homedir(), '.durabot'), process.cwd());
  const settings = settingsSchema.parse({});
  const single = readSingleVariables({}, []);
  return toConfig({
    settings,
    home,
    path: join(home, 'config.json'),
    fileExists: false,
    flags: {},
    environment,
    single,
  });
}

function readConfigFile(path: string, mustExist: boolean): string | undefined {
  try {
    return readFileSync(path, 'utf8').replace(/^\uFEFF/, '');
  } catch (error) {
    if (errorCode(error) === 'ENOENT' && !mustExist) return undefined;
    if (errorCode(error) === 'ENOENT')
      throw new ConfigError([`There is no config file ${path}. Make it with "durabot setup", or leave out --config.`]);
    throw new ConfigError([`The config file ${path} cannot be read (${errorCode(error)}). Check its permissions.`]);
  }
}

function emptyFile(): FileContents {
  return { values: {}, places: new Map(), problems: [] };
}

function put({ values, places }: FileContents, path: string[], value: unknown, place: Place): void {
  let target = values;
  for (const key of path.slice(0, -1)) {
    const next = target[key];
    // What is no object stays: the schema names it, with its own place.
    const inner = typeof next === 'object' && next !== null && !Array.isArray(next) ? next : {};
    target[key] = inner;
    target = inner as Record<string, unknown>;
  }
  target[path.at(-1) ?? ''] = value;
  places.set(path.join('.'), place);
}

function overridesOf(flags: ConfigFlags): { path: string[]; value: unknown; place: Place }[] {
  const named = [
    ['model', '--model', flags.model],
    ['provider', '--provider', flags.provider],
    ['maxTokens', '--max-tokens', flags.maxTokens],
    ['temperature', '--temperature', flags.temperature],
    ['workspace', '--workspace', flags.workspace],
  ] as const;
  return named
    .filter(([, , value]) => value !== undefined)
    .map(([key, place, value]) => ({ path: ['agents', 'defaults', key], value, place }));
}

interface Sources {
  settings: Settings;
  home: string;
  path: string;
  fileExists: boolean;
  flags: ConfigFlags;
  environment: NodeJS.ProcessEnv;
  single: SingleVariables;
}

function toConfig({ settings, home, path, fileExists, flags, environment, single }: Sources): Config {
  const { timezone, workspace, maxToolIterations, ...agent } = settings.agents.defaults;
  const { timeout, ...exec } = settings.tools.exec;
  const shared = {
    tokens: settings.budgets.perTurn.tokens,
    costMicros:
      settings.budgets.perTurn.money === undefined ? undefined : Math.round(settings.budgets.perTurn.money * 1_000_000),
    repeatedCalls: settings.limits.repeatedCalls,
  };
  return {
    home,
    configPath: path,
    configFileExists: fileExists,
    workspace:
      workspace === undefined
        ? join(home, 'workspace')
        : folder(workspace, flags.workspace ? process.cwd() : dirname(path)),
    timezone: timezone ?? new Intl.DateTimeFormat().resolvedOptions().timeZone,
    persona: flags.system,
    agent: {
      ...agent,
      model: agent.model,
      reasoningEffort: agent.reasoningEffort,
      contextBlockLimit: agent.contextBlockLimit,
    },
    modelPresets: settings.modelPresets,
    providers: settings.providers,
    exec: { ...exec, timeoutMs: timeout },
    limits: {
      turn: { ...shared, modelCalls: maxToolIterations, workMs: settings.limits.turn.work },
      subagent: { ...shared, modelCalls: settings.limits.subagent.modelCalls, workMs: settings.limits.subagent.work },
    },
    rules: settings.policy.rules,
    requests: single,
    stack: stackOf(home, environment),
    taskQueue: environment.TEMPORAL_TASK_QUEUE || taskQueue,
    environment: {
      providerKeys: providerKeyVariables.flatMap(([provider, variable]) => {
        const apiKey = environment[variable]?.trim();
        return apiKey ? [{ provider, variable, apiKey }] : [];
      }),
      openaiBaseUrl: environment.OPENAI_BASE_URL || undefined,
      ollamaHost: environment.OLLAMA_HOST || undefined,
      otelEndpoint: environment.OTEL_EXPORTER_OTLP_ENDPOINT || undefined,
      crashAt: environment.DURABOT_CRASH_AT || undefined,
      forCommands: Object.fromEntries(
        exec.allowedEnvKeys.flatMap((key) => (environment[key] === undefined ? [] : [[key, environment[key]]])),
      ),
    },
  };
}

function stackOf(home: string, environment: NodeJS.ProcessEnv): StackSettings {
  return {
    home,
    databaseUrl: environment.DATABASE_URL || undefined,
    temporalAddress: environment.TEMPORAL_ADDRESS || undefined,
    temporalNamespace: environment.TEMPORAL_NAMESPACE || 'default',
    searchPath: environment.PATH ?? '',
    cacheFolder: join(environment.XDG_CACHE_HOME || join(homedir(), '.cache'), 'durabot'),
    runtimeFolder: environment.XDG_RUNTIME_DIR || undefined,
  };
}

function folder(path: string, base: string): string {
  if (path === '~' || path.startsWith('~/')) return join(homedir(), path.slice(1));
  return isAbsolute(path) ? path : resolve(base, path);
}
