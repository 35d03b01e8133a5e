import { type AddCommand, CommandFailure, exitCodes } from '../command.js';

export const addStop: AddCommand = (program, { config, print, say }) => {
  program
    .command('stop')
    .description('Stop a running turn with its commands and subagents; what was done is kept')
    .argument('[name]', 'Name of a terminal chat, or id; not needed when only one runs')
    .option('--all', 'Stop every turn of every conversation')
    .option('--json', 'Print what was stopped as JSON')
    .action(async (name: string | undefined, { all = false, json = false }: { all?: boolean; json?: boolean }) => {
      if (all && name !== undefined) throw new CommandFailure('Give a name or --all, not both.', exitCodes.wrongUse);
      const { stopSessions } = await import('../session.js');
      const { nameOf } = await import('../known-conversation.js');
      await stopSessions(
        config(),
        async (running, find) => {
          if (name !== undefined) return [await find(name)];
          if (all || running.length <= 1) return running;
          const names = running.map(nameOf).join(', ');
          throw new CommandFailure(`Several run: ${names}. Name one, or stop all with --all.`, exitCodes.wrongUse);
        },
        { cancelReplies: false, json, print, say },
      );
    });
};
