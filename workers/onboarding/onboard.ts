// `durabot setup`: asks, or takes its answers from flags, and saves only what works.
import { mkdir } from 'node:fs/promises';
import { knownProviders } from '../../activities/model/known-providers.js';
import { type CommandContext, CommandFailure, exitCodes } from '../command.js';
import { type Config, ConfigError, loadConfig } from '../config.js';
import { modelWords, openModels } from '../models.js';
import { findProcesses } from '../presence.js';
import { readTemplates, writeMissing } from '../workspace-templates.js';
import type { ModelAnswer, SetupAnswers } from './answers.js';
import { askPerson, Left, toTrial } from './ask-person.js';
import { type Draft, draftSettings } from './save-settings.js';
import { tryModel } from './try-model.js';

export interface SetupFlags {
  provider: string | undefined;
  apiBase: string | undefined;
  /** A key that was read from stdin. */
  apiKey: string | undefined;
  /** Name of the variable that holds the key. */
  keyVariable: string | undefined;
  model: string | undefined;
  workspace: string | undefined;
  timezone: string | undefined;
  /** Ask the model for one word before anything is saved. */
  test: boolean;
}

type Words = Pick<CommandContext, 'print' | 'say'>;

/** By flags when there are any; with questions at a terminal; else it makes what is missing and asks nothing. */
export async function onboard(config: Config, flags: SetupFlags, words: Words): Promise<void> {
  const hasFlags = [flags.provider, flags.model, flags.workspace, flags.timezone].some((flag) => flag !== undefined);
  const asks = !hasFlags && process.stdin.isTTY && process.stdout.isTTY;
  const answers = asks ? await ask(config) : fromFlags(config, flags);
  const draft = await draftSettings(config.configPath, answers);
  try {
    const settings = readDraft(draft, config);
    // With questions the model has answered already.
    if (answers.model && !asks && flags.test) await tryOnce(settings, answers.model, words);
    if (draft.changes) await draft.keep();
    await tellSaved(config, settings, draft.changes, words);
  } finally {
    await draft.drop();
  }
}

/** As every later start will read it. */
function readDraft({ path }: Draft, { configPath }: Config): Config {
  try {
    return loadConfig({ configPath: path });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(
      error.problems.map((problem) => `${problem.replaceAll(path, configPath)} Nothing was saved.`),
    );
  }
}

async function tryOnce(settings: Config, answer: ModelAnswer, { say }: Words): Promise<void> {
  const { baseUrl } = toTrial(settings, answer);
  const apiKey = settings.providers[answer.provider]?.apiKey; // a variable is filled in here
  const verdict = await tryModel({ ...answer, baseUrl, apiKey }, new AbortController().signal);
  if (!verdict.works) throw new CommandFailure(`${verdict.sentence} Nothing was saved.`);
  say(`${answer.model} answered after ${(verdict.tookMs / 1000).toFixed(1)} s.`);
}

async function ask(config: Config): Promise<SetupAnswers> {
  try {
    return await askPerson(config);
  } catch (error) {
    if (error instanceof Left) throw new CommandFailure('Left. Nothing was saved.', exitCodes.interrupted);
    throw error;
  }
}

function fromFlags(config: Config, flags: SetupFlags): SetupAnswers {
  return {
    model: toModelAnswer(config, flags),
    workspace: flags.workspace === undefined ? undefined : config.workspace,
    timezone: flags.timezone,
  };
}

function toModelAnswer({ environment, providers }: Config, flags: SetupFlags): ModelAnswer | undefined {
  const { provider, apiBase, keyVariable } = flags;
  if (provider === undefined) {
    const needing = [flags.model, apiBase, keyVariable, flags.apiKey].some((flag) => flag !== undefined);
    if (needing)
      throw new CommandFailure(
        '--provider is missing: it names whose model, address or key this is.',
        exitCodes.wrongUse,
      );
    return undefined;
  }
  const known = knownProviders[provider];
  if (!known && apiBase === undefined && providers[provider]?.apiBase === undefined) {
    const names = Object.keys(knownProviders).join(', ');
    throw new CommandFailure(
      `There is no provider "${provider}". There are: ${names}; any other name needs --base-url.`,
      exitCodes.wrongUse,
    );
  }
  const model = flags.model ?? known?.defaultModel;
  if (model === undefined)
    throw new CommandFailure(`Which model of ${provider}? Say it with --model.`, exitCodes.wrongUse);
  const usual = environment.providerKeys.find((key) => key.provider === provider)?.variable;
  const variable = keyVariable ?? (flags.apiKey === undefined ? usual : undefined);
  return {
    provider,
    apiBase: apiBase ?? providers[provider]?.apiBase,
    apiKey: variable === undefined ? (flags.apiKey ?? providers[provider]?.apiKey) : `\${${variable}}`,
    model,
  };
}

async function tellSaved(config: Config, saved: Config, changed: boolean, { print }: Words): Promise<void> {
  await mkdir(saved.workspace, { recursive: true, mode: 0o700 });
  const written = await writeMissing(saved.workspace, await readTemplates());
  const models = await openModels(saved);
  print(`Config     ${config.configPath}${changed ? '' : ' (unchanged)'}`);
  print(`Workspace  ${saved.workspace}${written.length > 0 ? `: wrote ${written.join(', ')}` : ' (unchanged)'}`);
  print(`Model      ${modelWords(models)}`);
  const running = (await findProcesses(config.home)).filter(({ works }) => works);
  if (running.length > 0) {
    const what = running.map(({ command, pid }) => `${command}, process ${pid}`).join('; ');
    print(`Running    ${what}: end it and start it again to use this`);
  }
  print('Next       durabot start');
}
