// What ends a `run` before its answer: its time limit, or the person. The first Ctrl-C stops the turn, the second leaves at once.
import { exitCodes } from './command.js';

export type RunEnd = 'time' | 'interrupt';

export interface RunEnding {
  /** Aborts when the turn has not ended within `patienceMs` of being stopped: its mark stands, and we need not wait for it. */
  patience: AbortSignal;
  why(): RunEnd | undefined;
  close(): void;
}

const patienceMs = 15_000;

export function watchRunEnding(timeoutMs: number | undefined, stop: (why: RunEnd) => void): RunEnding {
  const patience = new AbortController();
  let why: RunEnd | undefined;
  let patienceTimer: NodeJS.Timeout | undefined;
  const end = (reason: RunEnd) => {
    if (why) return;
    why = reason;
    patienceTimer = setTimeout(() => patience.abort(), patienceMs);
    stop(reason);
  };
  const interrupt = () => {
    if (why) process.exit(exitCodes.interrupted);
    end('interrupt');
  };
  const timer = timeoutMs === undefined ? undefined : setTimeout(() => end('time'), timeoutMs);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt);
  return {
    patience: patience.signal,
    why: () => why,
    close() {
      clearTimeout(timer);
      clearTimeout(patienceTimer);
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(signal, interrupt);
    },
  };
}
