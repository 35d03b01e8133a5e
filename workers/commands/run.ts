import { text as readAll } from 'node:stream/consumers';
import { type AddCommand, CommandFailure, exitCodes } from '../command.js';
import {
  addModelFlags,
  collect,
  durationMs,
  type ModelFlags,
  toConfigFlags,
  toTurnSettings,
  toVariables,
  wholeNumber,
} from './flags.js';

interface RunFlags extends ModelFlags {
  prompt?: string;
  conversation?: string;
  key?: string;
  timeout?: number;
  env?: string[];
  context: number;
  stream: boolean;
  detach?: boolean;
  json?: boolean;
  verbose?: boolean;
}

export const addRun: AddCommand = (program, { config, print, say }) => {
  const command = program
    .command('run')
    .description('Ask one thing: the answer on stdout, progress on stderr')
    .argument('[prompt]', 'What to ask; read from stdin when it is neither here nor in -p')
    .option('-p, --prompt <text>', 'What to ask; - reads stdin')
    .option('-g, --conversation <name>', 'Chat to ask in, with its context; a new conversation unless given')
    .option('--key <key>', 'The same key again is the same message: it is answered once')
    .option('--timeout <duration>', 'Stop the turn after this time and print what there is', durationMs)
    .option('-e, --env <key=value>', 'Variable for the commands of this turn; may be repeated', collect)
    .option('--context <count>', 'Bring the last messages of the chat "cli" into a new conversation', wholeNumber, 0)
    .option('--stream', 'Show the text on stderr while it is written', false)
    .option('--no-stream', 'Do not; this is the default')
    .option('--detach', 'Leave the turn running and say how to follow it')
    .option('--json', 'Print one line of JSON')
    .option('-v, --verbose', 'Say more on stderr');
  addModelFlags(command).action(async (argument: string | undefined, flags: RunFlags) => {
    checkTogether(flags);
    const variables = toVariables(flags.env ?? []);
    const prompt = await findPrompt(argument, flags.prompt);
    const { detach = false, json = false, verbose = false, timeout } = flags;
    const { runOnce } = await import('../run-once.js');
    process.exitCode = await runOnce(
      config(toConfigFlags(flags)),
      {
        prompt,
        chat: flags.conversation,
        key: flags.key,
        settings: toTurnSettings(flags),
        timeoutMs: timeout,
        variables,
        contextMessages: flags.context,
        stream: flags.stream,
        detach,
        json,
        verbose,
      },
      { print, say },
    );
  });
};

function checkTogether({ detach, timeout, context, conversation, key }: RunFlags): void {
  if (detach && timeout !== undefined) throw wrongUse('--timeout and --detach exclude each other.');
  if (context > 0 && conversation !== undefined)
    throw wrongUse('--context and -g exclude each other: a chat has its own context.');
  for (const [flag, value] of [
    ['-g', conversation],
    ['--key', key],
  ] as const) {
    if (value !== undefined && (value.trim() === '' || value.length > 200))
      throw wrongUse(`${flag} must be a name of 1 to 200 characters.`);
  }
}

async function findPrompt(argument: string | undefined, flag: string | undefined): Promise<string> {
  if (argument !== undefined && flag !== undefined)
    throw wrongUse('The prompt is given twice, as an argument and by -p. Keep one.');
  const given = argument ?? flag;
  const fromStdin = flag === '-' || (given === undefined && !process.stdin.isTTY);
  const prompt = fromStdin ? await readAll(process.stdin) : (given ?? '');
  if (prompt.trim() === '') throw wrongUse('The prompt is empty. Write it as: durabot run "…", with -p, or to stdin.');
  return prompt;
}

function wrongUse(sentence: string): CommandFailure {
  return new CommandFailure(sentence, exitCodes.wrongUse);
}
