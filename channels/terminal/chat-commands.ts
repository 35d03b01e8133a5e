import type { ChatCommand } from '../commands.js';

/** What can be written into a terminal chat, in the order of /help. */
export const terminalCommands: readonly ChatCommand[] = [
  { name: 'help', help: 'this list' },
  { name: 'new', aliases: ['clear'], help: 'stop what runs and begin a new context; nothing is deleted' },
  { name: 'stop', help: 'stop the running turn, its commands and subagents' },
  { name: 'status', help: 'model, running turns and subagents' },
  { name: 'model', argument: '[name]', help: 'show the models, or choose one for this chat' },
  { name: 'quit', aliases: ['exit'], help: 'leave; a running turn goes on as long as a worker runs' },
];

export const keysHelp = `Enter sends, also while a turn runs: the message joins at the next step.
A backslash at the end of a line, or Alt+Enter, begins a new line.
Ctrl-C stops the running turn, a second one leaves. Ctrl-D leaves.`;
