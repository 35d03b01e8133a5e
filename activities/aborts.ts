// In-process work of turns, so that a stop mark aborts it at once instead of with the next heartbeat's answer.

/** Why work was aborted: `signal.reason` is one of these. */
export class Aborted extends Error {
  override readonly cause: 'stopped' | 'overtaken' | 'deadline' | 'cancelled';
  constructor(cause: Aborted['cause']) {
    super(`Work aborted: ${cause}`);
    this.name = 'AbortError'; // what fetch and child processes call it
    this.cause = cause;
  }
}

export interface Aborts {
  /** A controller that a stop of this turn aborts until `release` is called. */
  take(turnId: string): { controller: AbortController; release(): void };
  /** Aborts what this process does for a turn. Called by whoever sets a mark and by whoever hears of one. */
  stop(turnId: string): void;
}

export function createAborts(): Aborts {
  const working = new Map<string, Set<AbortController>>();
  return {
    take(turnId) {
      const controller = new AbortController();
      const mine = working.get(turnId) ?? new Set();
      working.set(turnId, mine.add(controller));
      return {
        controller,
        release() {
          mine.delete(controller);
          if (mine.size === 0) working.delete(turnId);
        },
      };
    },
    stop(turnId) {
      for (const controller of working.get(turnId) ?? []) controller.abort(new Aborted('stopped'));
    },
  };
}
