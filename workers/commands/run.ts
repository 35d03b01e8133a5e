import { text as readAll } from 'node:stream/consumers';
import { type AddCommand, CommandFailure, exitCodes } from '../command.js';
import { addModelFlags, durationMs, type ModelFlags, toConfigFlags, toTurnSettings } from './flags.js';

interface RunFlags extends ModelFlags {
  prompt?: string;
  conversation?: string;
  key?: string;
  timeout?: number;
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
    .option('--detach', 'Leave the turn running and say how to follow it')
    .option('--json', 'Print one line of JSON')
    .option('-v, --verbose', 'Say more on stderr');
  addModelFlags(command).action(async (argument: string | undefined, flags: RunFlags) => {
    const prompt = await findPrompt(argument, flags.prompt);
    const { detach = false, json = false, verbose = false, timeout } = flags;
    if (detach && timeout !== undefined) throw wrongUse('--timeout and --detach exclude each other.');
    const { runOnce } = await import('../run-once.js');
    process.exitCode = await runOnce(
      config(toConfigFlags(flags)),
      {
        prompt,
        chat: flags.conversation,
        key: flags.key,
        settings: toTurnSettings(flags),
        timeoutMs: timeout,
        detach,
        json,
        verbose,
      },
      { print, say },
    );
  });
};

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
