// What the rest of the program is handed: all of it read, checked and with its defaults.
import type { StackSettings } from '../local-stack/stack-settings.js';
import type { ModelPreset, PolicyRule, ProviderSettings } from './schema.js';

export interface ProviderKey {
  provider: string;
  variable: string;
  apiKey: string;
}

/** Limits that are kept in the row of each turn. */
export interface TurnLimits {
  modelCalls: number;
  workMs: number;
  tokens: number;
  /** Undefined: no limit in money. */
  costMicros: number | undefined;
  /** Equal calls with equal results before they are refused. */
  repeatedCalls: number;
}

export interface Config {
  /** DURABOT_HOME, absolute. */
  home: string;
  configPath: string;
  /** False: every key has its default, a variable's or a flag's value. */
  configFileExists: boolean;
  /** Absolute. */
  workspace: string;
  /** IANA name. */
  timezone: string;
  /** Replaces the persona, never the policy. */
  persona: string | undefined;
  agent: {
    /** Undefined: to be chosen from the keys that are there. */
    model: string | undefined;
    provider: string;
    maxTokens: number;
    temperature: number;
    reasoningEffort: string | undefined;
    contextWindowTokens: number;
    contextBlockLimit: number | undefined;
    fallbackModels: string[];
    maxToolResultChars: number;
    maxConcurrentSubagents: number;
  };
  modelPresets: Record<string, ModelPreset>;
  providers: Record<string, ProviderSettings>;
  exec: {
    enable: boolean;
    timeoutMs: number;
    /** False: the owner's consent to commands with all rights of this user. */
    sandbox: boolean;
    readOnlyBinds: string[];
    readWriteBinds: string[];
    allowedEnvKeys: string[];
  };
  limits: { turn: TurnLimits; subagent: TurnLimits };
  rules: PolicyRule[];
  requests: {
    /** Model requests under way at once in a worker; 0: no cap. */
    maxConcurrent: number;
    /** 0: no limit. */
    callTimeoutMs: number;
    streamIdleMs: number;
  };
  stack: StackSettings;
  /** Where this installation's runs are given to workers; another one than the usual lets installations share an engine. */
  taskQueue: string;
  environment: {
    providerKeys: ProviderKey[];
    openaiBaseUrl: string | undefined;
    ollamaHost: string | undefined;
    otelEndpoint: string | undefined;
    /** Name of a crash point: tests only. */
    crashAt: string | undefined;
    /** The variables of tools.exec.allowedEnvKeys that are set. */
    forCommands: Record<string, string>;
  };
}

/** What a command line may set, for its process only. */
export interface ConfigFlags {
  model?: string | undefined;
  provider?: string | undefined;
  maxTokens?: number | undefined;
  temperature?: number | undefined;
  system?: string | undefined;
  workspace?: string | undefined;
}
