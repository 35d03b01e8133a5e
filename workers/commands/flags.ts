// Flags that several commands share.
import { type Command, InvalidArgumentError } from 'commander';
import type { TurnSettings } from '../../store/rows.js';
import { CommandFailure, exitCodes } from '../command.js';
import type { ConfigFlags } from '../config.js';
import { durationForms, toMilliseconds } from '../settings/duration.js';

export interface ModelFlags {
  model?: string;
  maxTokens?: number;
  temperature?: number;
  system?: string;
}

/** They win over the configuration, for this process only. */
export function addModelFlags(command: Command): Command {
  return command
    .option('--model <name>', 'Model to use')
    .option('--max-tokens <count>', 'Longest answer, in tokens', number)
    .option('--temperature <number>', 'From 0 to 2', number)
    .option('--system <text>', 'Instead of the persona files; rules stay as they are');
}

export function toConfigFlags({ model, maxTokens, temperature, system }: ModelFlags): ConfigFlags {
  return { model, maxTokens, temperature, system };
}

/** The same for one turn, which any worker may run. */
export function toTurnSettings({ model, maxTokens, temperature, system }: ModelFlags): TurnSettings {
  return {
    ...(model !== undefined && { model }),
    ...(maxTokens !== undefined && { maxTokens }),
    ...(temperature !== undefined && { temperature }),
    ...(system !== undefined && { system }),
  };
}

/** For an option that may be repeated. */
export function collect(text: string, before: readonly string[] = []): string[] {
  return [...before, text];
}

/** `-e KEY=VALUE`. Looked at here and not by the parser, which would repeat the text: it may be a secret. */
export function toVariables(texts: readonly string[]): Record<string, string> {
  const pairs = texts.map((text): [string, string] => {
    const cut = text.indexOf('=');
    if (cut < 1) throw new CommandFailure('-e must be KEY=VALUE.', exitCodes.wrongUse);
    const name = text.slice(0, cut);
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
      const sentence = '-e: KEY must be letters, digits and underscores, and begin with no digit.';
      throw new CommandFailure(sentence, exitCodes.wrongUse);
    }
    return [name, text.slice(cut + 1)];
  });
  return Object.fromEntries(pairs);
}

function number(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('It must be a number.');
  return value;
}

export function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('It must be a whole number, 0 or more.');
  return Number(text);
}

export function durationMs(text: string): number {
  const ms = toMilliseconds(text);
  if (!ms) throw new InvalidArgumentError(`It must be a duration above 0: ${durationForms}.`);
  return ms;
}
