import { type AddCommand, type CommandContext, CommandFailure, exitCodes } from '../command.js';
import { addModelFlags, type ModelFlags, toConfigFlags, toTurnSettings } from './flags.js';

interface ChatFlags extends ModelFlags {
  conversation?: string;
  resume?: string;
  stream: boolean;
}

const usualChat = 'cli';

export const addShell: AddCommand = (program, context) => {
  const command = program
    .command('shell')
    .description('Chat here, with the worker that runs or one of its own; also through a pipe')
    .option('-g, --conversation <name>', 'Chat to go on with, or to begin', usualChat)
    .option('--resume <id>', 'Conversation to go on with; it must be there');
  command
    .option('--no-stream', 'Show answers when they are whole')
    .option('--stream', 'Show them while they are written');
  addModelFlags(command).action((flags: ChatFlags) => chat('shell', flags, context));
};

export const addStart: AddCommand = (program, context) => {
  const command = program
    .command('start')
    .description('Serve and chat in one process; what "durabot" alone does. Without a terminal it only serves')
    .option('-g, --conversation <name>', 'Chat to go on with, or to begin', usualChat);
  command
    .option('--no-stream', 'Show answers when they are whole')
    .option('--stream', 'Show them while they are written');
  addModelFlags(command).action(async (flags: ChatFlags) => {
    if (process.stdin.isTTY && process.stdout.isTTY) return chat('start', flags, context);
    const { runService } = await import('../service.js');
    const { config, print, say } = context;
    return runService({ config: config(toConfigFlags(flags)), command: 'serve', level: 'info', print, say });
  });
};

async function chat(command: 'shell' | 'start', flags: ChatFlags, { config, print, say, version }: CommandContext) {
  const name = flags.resume ?? flags.conversation ?? usualChat;
  if (name.trim() === '' || name.length > 200)
    throw new CommandFailure('The name of a chat has 1 to 200 characters.', exitCodes.wrongUse);
  const { chatSession } = await import('../chat-session.js');
  process.exitCode = await chatSession(
    config(toConfigFlags(flags)),
    {
      command,
      chat: name,
      resume: flags.resume !== undefined,
      settings: toTurnSettings(flags),
      stream: flags.stream,
      version,
    },
    { print, say },
  );
}
