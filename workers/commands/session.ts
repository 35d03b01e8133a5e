import type { AddCommand } from '../command.js';
import { wholeNumber } from './flags.js';

export const addSession: AddCommand = (program, { config, print, say }) => {
  const session = program
    .command('session')
    .description('The conversations: ls, show, kill, resume, delete, export')
    .helpCommand(false);
  const words = { print, say };

  session
    .command('ls')
    .description('All conversations, the one used last first')
    .option('--json', 'Print them as JSON')
    .action(async ({ json = false }: { json?: boolean }) => {
      const { listSessions } = await import('../session.js');
      await listSessions(config(), { json, ...words });
    });
  session
    .command('show')
    .description('What was said and done, from the beginning')
    .argument('<name>', 'Name of a terminal chat, or id')
    .option('-n, --last <count>', 'Only the last messages', wholeNumber)
    .option('--json', 'Print the transcript as JSON')
    .action(async (name: string, { json = false, last }: { json?: boolean; last?: number }) => {
      const { showSession } = await import('../session.js');
      await showSession(config(), name, { json, last, ...words });
    });
  session
    .command('kill')
    .description('Stop its turn, its commands and subagents, and replies that are not sent yet')
    .argument('<name>', 'Name of a terminal chat, or id')
    .option('--json', 'Print what was stopped as JSON')
    .action(async (name: string, { json = false }: { json?: boolean }) => {
      const { stopSessions } = await import('../session.js');
      await stopSessions(config(), async (_running, find) => [await find(name)], {
        cancelReplies: true,
        json,
        ...words,
      });
    });
  session
    .command('resume')
    .description('Show the last exchange and how to go on with it')
    .argument('<name>', 'Name of a terminal chat, or id')
    .action(async (name: string) => {
      const { resumeSession } = await import('../session.js');
      await resumeSession(config(), name, words);
    });
  session
    .command('delete')
    .description('Remove a conversation with its history, for good')
    .argument('<name>', 'Name of a terminal chat, or id')
    .option('--yes', 'Ask nothing')
    .action(async (name: string, { yes = false }: { yes?: boolean }) => {
      const { deleteSession } = await import('../session.js');
      await deleteSession(config(), name, yes, words);
    });
  session
    .command('export')
    .description('Write a conversation as JSON')
    .argument('<name>', 'Name of a terminal chat, or id')
    .option('--out <file>', 'Into this file, which must not be there; stdout unless given')
    .action(async (name: string, { out }: { out?: string }) => {
      const { exportSession } = await import('../session.js');
      await exportSession(config(), name, out, words);
    });
};
