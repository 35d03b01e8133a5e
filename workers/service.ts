// A process that works in the foreground until it is told to end: `serve`, `worker`, and `gateway`, which only talks.
import type { CommandContext } from './command.js';
import { type Base, openBase } from './compose.js';
import type { Config } from './config.js';
import { type LocalStack, openLocalStack } from './local-stack/stack.js';
import { StackError } from './local-stack/stack-settings.js';
import type { LogLevel } from './log.js';
import { modelAdvice, modelWords } from './models.js';
import { openStandby, type Standby } from './standby.js';

export interface ServiceOptions {
  config: Config;
  command: 'serve' | 'worker' | 'gateway';
  level: LogLevel;
  say: CommandContext['say'];
  print: CommandContext['print'];
}

const drainMs = 15_000;
const tryAgainMs = 2_000;

/** Resolves when a signal has ended it in order; a second signal ends the process at once. Open turns go on at the next start. */
export async function runService(options: ServiceOptions): Promise<void> {
  const { config, command, level, say, print } = options;
  const ending = watchSignals(say);
  const stack = await openServers(options, ending.signal);
  if (!stack) return;
  const base = await openBase({ config, servers: stack, command, level });
  const standby = await openStandby({ base, stack, command, say });
  try {
    await standby.begin(command === 'gateway' ? 'never' : 'always');
    if (command === 'gateway') standby.sweepSoon(); // a worker does so by itself
    await Promise.race([standby.ready(), standby.failed]);
    for (const line of greeting(command, stack, base)) print(line);
    await Promise.race([ending.asked, standby.failed]);
    say('Ending: running calls get a moment to finish. A second signal ends at once.');
  } finally {
    setTimeout(() => process.exit(), drainMs).unref();
    await close(standby, base);
    ending.close();
  }
}

async function close(standby: Standby, base: Base): Promise<void> {
  await standby.close();
  await base.close();
}

function greeting(command: ServiceOptions['command'], stack: LocalStack, { models, config }: Base): string[] {
  return [
    `durabot ${command} is up (process ${process.pid}). Ctrl-C ends it; open turns go on at the next start.`,
    `model      ${config.agent.model === undefined ? modelAdvice(models) : modelWords(models)}`,
    `workspace  ${config.workspace}`,
    `temporal   ${stack.temporalAddress}${stack.temporalUi ? `, runs at ${stack.temporalUi}` : ''}`,
    `channels   terminal${command === 'worker' ? ' (only work here: no channel receives)' : ': durabot shell, durabot run "…"'}`,
  ];
}

/** An engine of the owner's own may come up later than we do: then we wait for it, and say so once. */
async function openServers({ config, say }: ServiceOptions, signal: AbortSignal): Promise<LocalStack | undefined> {
  let told = '';
  while (!signal.aborted) {
    try {
      return await openLocalStack({ settings: config.stack, say });
    } catch (error) {
      const isGiven = config.stack.temporalAddress !== undefined || config.stack.databaseUrl !== undefined;
      if (!(error instanceof StackError) || !isGiven) throw error;
      if (told !== error.message) say(`${error.message} Trying again.`);
      told = error.message;
      await new Promise((resolve) => setTimeout(resolve, tryAgainMs));
    }
  }
  return undefined;
}

function watchSignals(say: CommandContext['say']) {
  const controller = new AbortController();
  let end: () => void = () => {};
  const asked = new Promise<void>((resolve) => {
    end = resolve;
  });
  const onSignal = (signal: NodeJS.Signals) => {
    if (controller.signal.aborted) {
      say('Ended at once; open turns go on at the next start.');
      process.exit(signal === 'SIGINT' ? 130 : 1);
    }
    controller.abort();
    end();
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, onSignal);
  return {
    asked,
    signal: controller.signal,
    close: () => {
      for (const signal of signals) process.off(signal, onSignal);
    },
  };
}
