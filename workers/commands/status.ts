import type { AddCommand } from '../command.js';
import type { Config } from '../config.js';
import type { Presence } from '../presence.js';
import type { StackReport } from '../stack-report.js';

export const addStatus: AddCommand = (program, { config, print }) => {
  program
    .command('status')
    .description('Show what runs now and where it answers')
    .option('--json', 'Print it as JSON')
    .action(async ({ json }: { json?: boolean }) => {
      const settings = config();
      const { findProcesses } = await import('../presence.js');
      const { inspectStack } = await import('../stack-report.js');
      const processes = await findProcesses(settings.home);
      const stack = await inspectStack(settings.stack);
      const status = {
        home: settings.home,
        config: { path: settings.configPath, exists: settings.configFileExists },
        model: settings.agent.model ?? null,
        provider: settings.agent.provider,
        processes: processes.map(({ command, pid, since, works }) => ({ command, pid, since, works })),
        temporal: stack.temporal,
        postgres: stack.postgres,
        next: nextStep(stack, processes),
      };
      print(json ? JSON.stringify(status) : lines(settings, stack, processes).join('\n'));
    });
};

function lines(settings: Config, stack: StackReport, processes: Presence[]): string[] {
  return [
    `home        ${settings.home}`,
    `config      ${settings.configPath}${settings.configFileExists ? '' : ' (not there: defaults)'}`,
    `model       ${settings.agent.model ?? 'chosen at the start, from the keys that are there'}`,
    `temporal    ${stack.temporal.state} ${[stack.temporal.address, stack.temporal.ui].filter(Boolean).join(', ')}`.trimEnd(),
    `postgres    ${stack.postgres.state}`,
    `processes   ${processes.map(({ command, pid }) => `${command} (${pid})`).join(', ') || 'none'}`,
    `next        ${nextStep(stack, processes)}`,
  ];
}

function nextStep(stack: StackReport, processes: Presence[]): string {
  if (stack.temporal.state === 'unreachable' || stack.postgres.state === 'unreachable') return 'durabot doctor';
  return processes.some(({ works }) => works) ? 'durabot run "…" or durabot shell' : 'durabot start';
}
