// The command line: which commands there are, and what their end means for the exit code.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command, CommanderError } from 'commander';
import { type AddCommand, type CommandContext, CommandFailure, exitCodes } from './command.js';
import { addDoctor } from './commands/doctor.js';
import { addDown } from './commands/down.js';
import { addExplain } from './commands/explain.js';
import { addLogs } from './commands/logs.js';
import { addRun } from './commands/run.js';
import { addServices } from './commands/serve.js';
import { addSession } from './commands/session.js';
import { addSetup } from './commands/setup.js';
import { addShell, addStart } from './commands/shell.js';
import { addStatus } from './commands/status.js';
import { addStop } from './commands/stop.js';
import { ConfigError, loadConfig } from './config.js';
import { StackError } from './local-stack/stack-settings.js';
import { nearest } from './settings/nearest.js';

/** In the order of the help. */
const commands: readonly AddCommand[] = [
  addSetup,
  addStart,
  addServices,
  addShell,
  addRun,
  addSession,
  addStop,
  addExplain,
  addLogs,
  addStatus,
  addDoctor,
  addDown,
];

const defaultCommand = 'start';

/** Runs one command line and sets the exit code of the process; never throws. */
export async function main(argv: readonly string[]): Promise<void> {
  // The reader went away (`durabot logs | head`): that is no failure of ours.
  process.stdout.on('error', (error: NodeJS.ErrnoException) =>
    process.exit(error.code === 'EPIPE' ? exitCodes.done : exitCodes.failed),
  );
  try {
    const program = createProgram();
    await program.parseAsync(withDefault(argv, program), { from: 'user' });
  } catch (error) {
    process.exitCode = report(error);
  }
}

function createProgram(): Command {
  const program = new Command('durabot')
    .description('A durable personal AI agent: nothing accepted is lost, nothing finished is done twice.')
    .version(version(), '-V, --version', 'Print the version')
    .option('-c, --config <path>', 'Config file (default: config.json in DURABOT_HOME)')
    .helpOption('-h, --help', 'Print this help')
    .helpCommand(false)
    .showSuggestionAfterError(true)
    .exitOverride();
  const context: CommandContext = {
    config: (flags) => loadConfig({ configPath: program.opts<{ config?: string }>().config, flags }),
    version: version(),
    print: (text) => void process.stdout.write(`${text}\n`),
    say: (line) => void process.stderr.write(`${line}\n`),
  };
  for (const add of commands) add(program, context);
  return program;
}

// `durabot` alone is `durabot start`. A wrong word must not become its argument, so it is looked at here.
function withDefault(argv: readonly string[], program: Command): readonly string[] {
  const words = argv.filter(
    (word, index) => !word.startsWith('-') && !['-c', '--config'].includes(argv[index - 1] ?? ''),
  );
  const names = program.commands.flatMap((command) => [command.name(), ...command.aliases()]);
  const first = words[0];
  if (first !== undefined) {
    if (names.includes(first)) return argv;
    const near = nearest(first, names);
    throw new CommandFailure(
      `There is no command "${first}".${near ? ` Did you mean "${near}"?` : ''} See durabot --help.`,
      exitCodes.wrongUse,
    );
  }
  const asksForHelp = argv.some((word) => ['-h', '--help', '-V', '--version'].includes(word));
  if (asksForHelp) return argv;
  return names.includes(defaultCommand) ? [defaultCommand, ...argv] : ['--help'];
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.wrongUse; // it has printed its sentence
  const code =
    error instanceof CommandFailure
      ? error.exitCode
      : error instanceof ConfigError
        ? exitCodes.wrongUse
        : exitCodes.failed;
  const known = error instanceof CommandFailure || error instanceof ConfigError || error instanceof StackError;
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(
    known
      ? `${message}\n`
      : `durabot failed unexpectedly: ${message}\n"durabot doctor" checks every part; the log is in logs/durabot.log.\n`,
  );
  return code;
}

/** From package.json, which lies one folder further up when we run from dist/. */
function version(): string {
  for (const path of ['../package.json', '../../package.json']) {
    try {
      const { version: found } = JSON.parse(readFileSync(fileURLToPath(new URL(path, import.meta.url)), 'utf8')) as {
        version: string;
      };
      return found;
    } catch {
      // Not there: the other place.
    }
  }
  return 'unknown';
}
