// What every command is handed, and how it ends. Command files import this and nothing heavy at their top: they are all
// loaded for `--help`, and Temporal alone would cost 370 ms.
import type { Command } from 'commander';
import type { Config, ConfigFlags } from './config.js';

export const exitCodes = { done: 0, failed: 1, wrongUse: 2, timeOver: 124, interrupted: 130 } as const;

/** A command ends with a sentence and a code. The message is for the person. */
export class CommandFailure extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode: number = exitCodes.failed) {
    super(message);
    this.name = 'CommandFailure';
    this.exitCode = exitCode;
  }
}

export interface CommandContext {
  /** Read when first asked for, so that `--help` works with a broken file. Throws ConfigError, which ends with code 2. */
  config(flags?: ConfigFlags): Config;
  version: string;
  /** The result: stdout. */
  print(text: string): void;
  /** Progress and remarks: stderr. */
  say(line: string): void;
}

/** Each file in commands/ exports one of these; `cli.ts` has a line for it. */
export type AddCommand = (program: Command, context: CommandContext) => void;
