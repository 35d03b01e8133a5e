import type { AddCommand } from '../command.js';

/** Longer than the drain of `serve`, which is 15 s. */
const graceMs = 20_000;

export const addDown: AddCommand = (program, { config, print, say }) => {
  program
    .command('down')
    .description('Stop what durabot started for this home: its processes, Temporal and PostgreSQL')
    .option('--json', 'Print what was stopped as JSON')
    .action(async ({ json }: { json?: boolean }) => {
      const { findProcesses, stopProcess } = await import('../presence.js');
      const { stopLocalStack } = await import('../local-stack/stack.js');
      const { home, stack } = config();
      const processes = (await findProcesses(home)).filter(({ pid }) => pid !== process.pid);
      for (const one of processes) {
        say(`Stopping ${one.command} (process ${one.pid}) …`);
        if (!(await stopProcess(one, graceMs)))
          say(`Process ${one.pid} does not stop. End it by hand: kill -9 ${one.pid}`);
      }
      const { temporal, postgres } = await stopLocalStack(stack);
      if (json)
        return print(
          JSON.stringify({
            processes: processes.map(({ command, pid }) => ({ command, pid })),
            temporal: temporal ?? null,
            postgres: postgres ?? null,
          }),
        );
      const stopped = [
        ...processes.map(({ command, pid }) => `${command} (process ${pid})`),
        ...(temporal === undefined ? [] : [`Temporal (process ${temporal})`]),
        ...(postgres === undefined ? [] : [`PostgreSQL (process ${postgres})`]),
      ];
      print(stopped.length > 0 ? `Stopped ${stopped.join(', ')}.` : `Nothing of ${home} was running.`);
    });
};
