// For a process that does not sweep itself: what it could not tell the engine is repaired by the next sweep, and that one must not be
// ten minutes away. So it asks for one, at its own start as well, until the engine has heard it.
import type { Engine } from '../workflows/contract.js';

export interface Reminder {
  /** Asks until the engine has heard; called again meanwhile, it asks once more afterwards. */
  soon(): void;
  stop(): void;
}

/** The sweep is part of what `reconcile` does, in a worker. Keeps no process alive. */
export function remindSweep(engine: Pick<Engine, 'wakeReconcile'>, everyMs = 1_000): Reminder {
  let due = false;
  let stopped = false;
  let asking = false;
  let timer: NodeJS.Timeout | undefined;

  async function ask(): Promise<void> {
    asking = true;
    due = false;
    await engine.wakeReconcile().catch(() => {
      due = true; // it is still away, as whoever left something has logged already
    });
    asking = false;
    if (due && !stopped) later();
  }

  function later(): void {
    timer = setTimeout(() => {
      timer = undefined;
      ask().catch(() => {}); // it handles what the engine throws
    }, everyMs).unref();
  }

  return {
    soon() {
      due = true;
      if (!asking && !timer) later();
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
