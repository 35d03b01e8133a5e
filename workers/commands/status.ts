import type { AddCommand } from '../command.js';
import type { Config } from '../config.js';
import type { Presence } from '../presence.js';
import type { StackReport } from '../stack-report.js';
import type { OpenWork } from '../status-text.js';

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
      const { modelWords, openModels } = await import('../models.js');
      const { openWorkLines } = await import('../status-text.js');
      const stack = await inspectStack(settings.stack);
      const [models, work] = await Promise.all([openModels(settings), readWork(settings, stack)]);
      const model = modelWords(models);
      const status = {
        home: settings.home,
        config: { path: settings.configPath, exists: settings.configFileExists },
        model: models.standard.kind === 'chosen' ? models.standard.model : null,
        provider: models.standard.kind === 'chosen' ? models.standard.provider : null,
        rule: models.standard.kind === 'chosen' ? models.standard.rule : models.standard.reason,
        processes: processes.map(({ command, pid, since, works }) => ({ command, pid, since, works })),
        temporal: stack.temporal,
        postgres: stack.postgres,
        workers: work?.workers ?? null,
        paused: work?.paused ?? null,
        openTurns: work?.turns ?? null,
        next: nextStep(stack, processes),
      };
      print(
        json
          ? JSON.stringify(status)
          : lines(settings, model, stack, processes, work ? openWorkLines(work) : []).join('\n'),
      );
    });
};

/** Undefined when the store does not answer, or has never been used. */
async function readWork({ stack }: Config, { postgres }: StackReport): Promise<OpenWork | undefined> {
  if (postgres.state !== 'running') return undefined;
  const { findLocalStack } = await import('../local-stack/stack.js');
  const { readOpenWork } = await import('../status-text.js');
  const { openPool } = await import('../../store/pool.js');
  const found = await findLocalStack(stack);
  if (!found.postgres) return undefined;
  const pool = openPool({ databaseUrl: found.postgres.databaseUrl, max: 2 });
  try {
    return await readOpenWork(pool);
  } catch {
    return undefined; // a database without our tables: nothing was ever started on it
  } finally {
    await pool.end();
  }
}

function lines(
  settings: Config,
  model: string,
  stack: StackReport,
  processes: Presence[],
  work: readonly string[],
): string[] {
  return [
    `home        ${settings.home}`,
    `config      ${settings.configPath}${settings.configFileExists ? '' : ' (not there: defaults)'}`,
    `model       ${model}`,
    `temporal    ${stack.temporal.state} ${[stack.temporal.address, stack.temporal.ui].filter(Boolean).join(', ')}`.trimEnd(),
    `postgres    ${stack.postgres.state}`,
    `processes   ${processes.map(({ command, pid }) => `${command} (${pid})`).join(', ') || 'none'}`,
    ...work,
    `next        ${nextStep(stack, processes)}`,
  ];
}

function nextStep(stack: StackReport, processes: Presence[]): string {
  if (stack.temporal.state === 'unreachable' || stack.postgres.state === 'unreachable') return 'durabot doctor';
  return processes.some(({ works }) => works) ? 'durabot run "…" or durabot shell' : 'durabot start';
}
