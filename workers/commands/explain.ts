import type { AddCommand } from '../command.js';

export const addExplain: AddCommand = (program, { config, print, say }) => {
  program
    .command('explain')
    .description('What happened in a turn, step by step, with times, tokens, cost and the link to its run')
    .argument('<turn>', 'Id of a turn, as 12-3; or a conversation, for its newest turn')
    .option('--json', 'Print it as JSON')
    .action(async (turn: string, { json = false }: { json?: boolean }) => {
      const { explainTurn } = await import('../explain.js');
      await explainTurn(config(), turn, { json, print, say });
    });
};
