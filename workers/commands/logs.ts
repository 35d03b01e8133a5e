import { type AddCommand, CommandFailure } from '../command.js';
import { wholeNumber } from './flags.js';

interface LogFlags {
  lines: number;
  follow?: boolean;
  turn?: string;
  json?: boolean;
}

export const addLogs: AddCommand = (program, { config, print }) => {
  program
    .command('logs')
    .description('The last lines of the log of all processes')
    .option('-n, --lines <count>', 'How many', wholeNumber, 50)
    .option('-f, --follow', 'Go on with each new line')
    .option('--turn <id>', 'Only lines about this turn')
    .option('--json', 'Print the lines as they were written')
    .action(async ({ lines, follow = false, turn, json = false }: LogFlags) => {
      const { home, timezone } = config();
      const { followLines, lastLines } = await import('../log-reader.js');
      const { logPath } = await import('../log.js');
      const { logLineFor, speaksOf } = await import('../log-line.js');
      const path = logPath(home);
      const wanted = turn === undefined ? () => true : speaksOf(turn);
      const shown = json ? (line: string) => line : logLineFor(timezone);
      // Lines about one turn may lie far apart.
      const found = await lastLines(path, turn === undefined ? lines : Number.MAX_SAFE_INTEGER);
      if (!found && !follow) throw new CommandFailure(`There is no log yet: ${path} appears with the first start.`);
      const last = (found ?? []).filter(wanted);
      for (const line of lines === 0 ? [] : last.slice(-lines)) print(shown(line));
      if (!follow) return;
      const ending = new AbortController();
      process.once('SIGINT', () => ending.abort()).once('SIGTERM', () => ending.abort());
      await followLines(path, (line) => wanted(line) && print(shown(line)), ending.signal);
    });
};
