// Every part that durabot needs, looked at one by one. Each check says what it found and what to do; none changes anything.
import { constants } from 'node:fs';
import { access, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { probeSandbox } from '../activities/tools/exec/sandbox.js';
import { type Config, ConfigError, defaultConfig } from './config.js';
import { findPostgresBinaries, findPostgresUser } from './local-stack/postgres-binaries.js';
import { StackError } from './local-stack/stack-settings.js';
import { findTemporalBinary } from './local-stack/temporal-binary.js';
import { inspectStack, type StackReport } from './stack-report.js';

export interface Finding {
  part: string;
  /** `note`: nothing is broken, but it is worth knowing. */
  verdict: 'ok' | 'note' | 'fail';
  finding: string;
  remedy?: string;
}

type Check = () => Finding | Promise<Finding>;

const megabyte = 1_000_000;

/** With a config that cannot be read, everything else is still looked at, by the defaults. */
export async function examine(readConfig: () => Config): Promise<Finding[]> {
  const { config, finding } = checkConfig(readConfig);
  const stack = await inspectStack(config.stack);
  const checks: Check[] = [
    checkNode,
    () => finding,
    () => checkFolder('home', config.home),
    () => checkFolder('workspace', config.workspace),
    () => checkModel(config),
    () => checkSandbox(config),
    () => checkTemporalProgram(config),
    () => checkTemporal(stack),
    () => checkNamespace(stack),
    () => checkPostgresPrograms(config),
    () => checkPostgres(stack),
    () => checkDisk(config),
    checkClock,
  ];
  return Promise.all(checks.map((check) => check()));
}

function checkNode(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const fits = major > 20 || (major === 20 && minor >= 12);
  if (fits) return { part: 'node', verdict: 'ok', finding: process.version };
  return {
    part: 'node',
    verdict: 'fail',
    finding: `${process.version} is too old`,
    remedy: 'Install Node 20.12 or newer.',
  };
}

function checkConfig(readConfig: () => Config): { config: Config; finding: Finding } {
  try {
    const config = readConfig();
    const finding = config.configFileExists
      ? config.configPath
      : `${config.configPath} is not there; the defaults apply`;
    return { config, finding: { part: 'config', verdict: 'ok', finding } };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return {
      config: defaultConfig(),
      finding: {
        part: 'config',
        verdict: 'fail',
        finding: error.problems.join(' '),
        remedy: 'Correct these keys; until then nothing starts.',
      },
    };
  }
}

async function checkFolder(part: string, path: string): Promise<Finding> {
  const there = await stat(path).catch(() => undefined);
  if (there && !there.isDirectory())
    return { part, verdict: 'fail', finding: `${path} is a file`, remedy: 'Move it away.' };
  const writable = await access(there ? path : await firstParent(path), constants.W_OK).then(
    () => true,
    () => false,
  );
  if (!writable)
    return {
      part,
      verdict: 'fail',
      finding: `${path} cannot be written`,
      remedy: `Make it writable for this user, or choose another one.`,
    };
  return { part, verdict: 'ok', finding: there ? path : `${path} will be made at the first start` };
}

async function firstParent(path: string): Promise<string> {
  const parent = dirname(path);
  return parent === path || (await stat(parent).catch(() => undefined)) ? parent : firstParent(parent);
}

function checkModel({ agent, providers, environment }: Config): Finding {
  const configured = Object.entries(providers).filter(([, { apiKey, apiBase }]) => apiKey || apiBase);
  const names = [
    ...configured.map(([name]) => `providers.${name}`),
    ...environment.providerKeys.map(({ variable }) => variable),
  ];
  if (names.length > 0)
    return {
      part: 'model',
      verdict: 'ok',
      finding: `${agent.model ?? 'chosen at the start'}; keys: ${names.join(', ')}`,
    };
  return {
    part: 'model',
    verdict: 'note',
    finding: 'no key is set; a local Ollama is used if there is one, else the built-in demo model',
    remedy: 'Set OPENAI_API_KEY (with OPENAI_BASE_URL for any compatible endpoint), or run "durabot setup".',
  };
}

async function checkSandbox({ exec }: Config): Promise<Finding> {
  if (!exec.enable) return { part: 'sandbox', verdict: 'note', finding: 'not needed: tools.exec.enable is off' };
  if (!exec.sandbox)
    return {
      part: 'sandbox',
      verdict: 'note',
      finding: 'off by tools.exec.sandbox: commands run with all your rights',
    };
  const sandbox = await probeSandbox();
  if (sandbox.kind === 'ready') return { part: 'sandbox', verdict: 'ok', finding: `${sandbox.bwrap} runs a command` };
  return {
    part: 'sandbox',
    verdict: 'fail',
    finding: `commands are refused: ${sandbox.cause}`,
    remedy: `${capitalised(sandbox.cure)}.`,
  };
}

async function checkTemporalProgram({ stack }: Config): Promise<Finding> {
  const part = 'temporal cli';
  if (stack.temporalAddress) return { part, verdict: 'ok', finding: 'not needed: TEMPORAL_ADDRESS is set' };
  const { binary, passedOver } = await findTemporalBinary(stack);
  if (binary)
    return { part, verdict: 'ok', finding: `${binary.path}, ${binary.cliVersion} with server ${binary.serverVersion}` };
  return {
    part,
    verdict: 'note',
    finding: ['none yet; the first start downloads it, or builds it with Go', ...passedOver].join('; '),
    remedy: 'To avoid that, install the Temporal CLI 1.8 or newer.',
  };
}

function checkTemporal({ temporal }: StackReport): Finding {
  const part = 'temporal';
  const where = [temporal.address, temporal.ui].filter(Boolean).join(', UI ');
  switch (temporal.state) {
    case 'running':
      return { part, verdict: 'ok', finding: `server ${temporal.facts?.serverVersion} at ${where}` };
    case 'stopped':
      return { part, verdict: 'note', finding: 'not running; "durabot start" starts it' };
    case 'unreachable':
      return {
        part,
        verdict: 'fail',
        finding: `no answer at ${where}`,
        remedy: temporal.given
          ? 'Start that server, or correct TEMPORAL_ADDRESS.'
          : 'Run "durabot down", then start again; logs/temporal.log may tell why.',
      };
  }
}

function checkNamespace({ temporal: { facts, namespace, given } }: StackReport): Finding {
  const part = 'namespace';
  if (!facts) return { part, verdict: 'note', finding: 'not looked at: Temporal does not run' };
  if (!facts.exists)
    return {
      part,
      verdict: 'fail',
      finding: `${namespace} is not there`,
      remedy: 'Create it, or correct TEMPORAL_NAMESPACE.',
    };
  if (facts.missingAttributes.length > 0) {
    return {
      part,
      verdict: 'note',
      finding: `${namespace} lacks ${facts.missingAttributes.join(', ')}; the next start adds them`,
    };
  }
  const retention = `runs are kept ${facts.retentionDays} days`;
  if (given && (facts.retentionDays ?? 0) < 7)
    return {
      part,
      verdict: 'note',
      finding: `${namespace}, but ${retention}`,
      remedy: `temporal operator namespace update --namespace ${namespace} --retention 30d`,
    };
  return { part, verdict: 'ok', finding: `${namespace}, search attributes registered, ${retention}` };
}

async function checkPostgresPrograms({ stack }: Config): Promise<Finding> {
  const part = 'postgres bin';
  if (stack.databaseUrl) return { part, verdict: 'ok', finding: 'not needed: DATABASE_URL is set' };
  try {
    const user = await findPostgresUser();
    const { version } = await findPostgresBinaries();
    return {
      part,
      verdict: 'ok',
      finding: `${version}${user ? `, runs as the user "${user.name}" because PostgreSQL refuses root` : ''}`,
    };
  } catch (error) {
    if (!(error instanceof StackError)) throw error;
    return { part, verdict: 'fail', finding: 'not there', remedy: error.message };
  }
}

function checkPostgres({ postgres }: StackReport): Finding {
  const part = 'postgres';
  switch (postgres.state) {
    case 'running':
      return {
        part,
        verdict: 'ok',
        finding: postgres.given
          ? 'the server of DATABASE_URL lets us in'
          : `our own lets us in (process ${postgres.pid})`,
      };
    case 'stopped':
      return { part, verdict: 'note', finding: 'not running; "durabot start" starts it' };
    case 'unreachable':
      return {
        part,
        verdict: 'fail',
        finding: 'does not let us in',
        remedy: postgres.given
          ? 'Start that server, or correct DATABASE_URL.'
          : 'Run "durabot down", then start again; logs/postgres.log may tell why.',
      };
  }
}

async function checkDisk({ home }: Config): Promise<Finding> {
  const part = 'disk';
  const { bavail, bsize } = await statfs(await firstParent(home));
  const free = (bavail * bsize) / megabyte;
  const finding = `${free >= 1000 ? `${(free / 1000).toFixed(0)} GB` : `${free.toFixed(0)} MB`} free for ${home}`;
  if (free < 200) return { part, verdict: 'fail', finding, remedy: 'Make room: with a full disk nothing is accepted.' };
  return free < 2000 ? { part, verdict: 'note', finding, remedy: 'Make room soon.' } : { part, verdict: 'ok', finding };
}

// A clock that stands before our own files runs behind: jobs would come late, and certificates would not be valid yet.
async function checkClock(): Promise<Finding> {
  const { mtimeMs } = await stat(new URL(import.meta.url));
  const now = new Date();
  if (now.getTime() >= mtimeMs - 60_000) return { part: 'clock', verdict: 'ok', finding: now.toISOString() };
  return {
    part: 'clock',
    verdict: 'fail',
    finding: `${now.toISOString()} lies before this program was made`,
    remedy: 'Set the clock of this machine, best by NTP.',
  };
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
