// From a configuration to what the processes of durabot are made of. Every process opens the base; a worker makes its options on top.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createReadPersona } from '../activities/model/persona.js';
import { systemPrompt } from '../activities/model/system-prompt.js';
import { estimateTokens } from '../activities/model/tokens.js';
import { openWorkspace } from '../activities/tools/workspace.js';
import { splitText } from '../channels/split-text.js';
import { armCrashPoint, noCrashPoint } from '../store/crash-points.js';
import type { StoreDeps } from '../store/deps.js';
import { migrate } from '../store/migrate.js';
import { openPool, type Pool } from '../store/pool.js';
import type { AgentOptions } from './agent.js';
import type { Config, TurnLimits } from './config.js';
import { type LogLevel, openLog } from './log.js';
import { type Models, openModels } from './models.js';
import { noticeFor, outageNotice } from './notices.js';
import { createRedactor, type Redact } from './redact.js';
import { toolsFor } from './tools.js';
import { makeWorkspace, readTemplates } from './workspace-templates.js';

/** Where the two servers are; `LocalStack` is one. */
export interface Servers {
  temporalAddress: string;
  namespace: string;
  databaseUrl: string;
}

export interface Base {
  config: Config;
  servers: Servers;
  models: Models;
  pool: Pool;
  storeDeps: StoreDeps;
  log: ReturnType<typeof openLog>['log'];
  redact: Redact;
  onError(message: string, error: unknown): void;
  close(): Promise<void>;
}

export interface OpenBase {
  config: Config;
  servers: Servers;
  /** Which process this is, for the log. */
  command: string;
  level?: LogLevel;
}

const transcriptChannels = ['terminal'];
/** Where a channel says nothing of its own. */
const partChars = 4_000;

/** Opens log and store; the database has the newest schema afterwards. Rejects when the store cannot be reached. */
export async function openBase({ config, servers, command, level = 'info' }: OpenBase): Promise<Base> {
  const crashPoint = config.environment.crashAt ? armCrashPoint(config.environment.crashAt) : noCrashPoint;
  const redact = createRedactor(secretsOf(config, servers.databaseUrl));
  const { log, close: closeLog } = openLog({ home: config.home, level, redact, process: command });
  const onError = (message: string, error: unknown) => log.warn({ err: error }, message);
  const pool = openPool({
    databaseUrl: servers.databaseUrl,
    max: 20,
    onError: (error) => onError('A connection to PostgreSQL broke', error),
  });
  let models: Models;
  try {
    [models] = await Promise.all([openModels(config), migrate(servers.databaseUrl)]);
  } catch (error) {
    await pool.end();
    closeLog();
    throw error;
  }
  const storeDeps: StoreDeps = {
    pool,
    crashPoint,
    transcriptChannels,
    limits: {
      chat: toStored(config.limits.turn),
      subagent: toStored(config.limits.subagent),
      childrenAtOnce: config.agent.maxConcurrentSubagents,
    },
    estimateTokens,
    notice: (facts) => noticeFor(facts, models.facts),
    split: (_channel, text) => splitText(text, partChars),
  };
  return {
    config,
    servers,
    models,
    pool,
    storeDeps,
    log,
    redact,
    onError,
    async close() {
      await pool.end();
      closeLog();
    },
  };
}

/** What a worker is opened with. Makes the workspace on the way. */
export async function toAgentOptions(base: Base): Promise<AgentOptions> {
  const { config, servers, models, pool, storeDeps, onError } = base;
  const templates = await readTemplates();
  await makeWorkspace(config.workspace, templates);
  const dataDir = join(config.home, 'data');
  const readPersona = createReadPersona({ workspace: await openWorkspace(config.workspace), templates });
  const rules = config.rules.map(({ tool, decision, reason }) => `${tool}: ${decision}${reason ? ` (${reason})` : ''}`);
  return {
    temporal: { address: servers.temporalAddress, namespace: servers.namespace, taskQueue: config.taskQueue },
    databaseUrl: servers.databaseUrl,
    pool,
    storeDeps,
    workflowBundle: { codePath: workflowBundlePath() },
    workspaceRoot: config.workspace,
    dataDir,
    tools: toolsFor(config, dataDir),
    rules: config.rules,
    channels: new Map(),
    timeZone: config.timezone,
    contextBlockLimit: config.agent.contextBlockLimit,
    reasoningEffort: config.agent.reasoningEffort,
    temperature: config.agent.temperature,
    maxResultChars: config.agent.maxToolResultChars,
    maxRequests: config.requests.maxConcurrent,
    modelName: models.name,
    choose: (settings) => models.choose(settings),
    async systemPrompt(settings, subagent) {
      const replacement = settings.system ?? config.persona;
      return systemPrompt({ persona: await readPersona(), replacement, rules, subagent });
    },
    outageNotice: () => outageNotice,
    onError,
  };
}

/** Beside the compiled rooms; from the sources it lies in dist/. */
function workflowBundlePath(): string {
  const beside = fileURLToPath(new URL('../workflow-bundle.js', import.meta.url));
  return existsSync(beside) ? beside : fileURLToPath(new URL('../dist/workflow-bundle.js', import.meta.url));
}

function toStored({ modelCalls, workMs, tokens, costMicros }: TurnLimits) {
  return { steps: modelCalls, workMs, tokens, costMicros: costMicros ?? null };
}

function secretsOf({ providers, environment }: Config, databaseUrl: string): string[] {
  const keys = [
    ...Object.values(providers).flatMap(({ apiKey, extraHeaders }) => [apiKey, ...Object.values(extraHeaders)]),
    ...environment.providerKeys.map(({ apiKey }) => apiKey),
    ...Object.values(environment.forCommands),
    URL.canParse(databaseUrl) ? decodeURIComponent(new URL(databaseUrl).password) : '',
  ];
  return keys.filter((key) => key !== undefined);
}
