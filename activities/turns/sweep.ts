// Repairs what dead processes left behind: at the start of each process, when the engine is reachable again, and every ten minutes.
// Bounded, idempotent, and no lock is held over a call to the engine.
import { Context } from '@temporalio/activity';
import type { OpenTurn } from '../../store/turns.js';
import { type CloseDeps, closeFromStore } from './close-turn.js';
import { startClaimed } from './start-claimed.js';

const cancelAgainMs = 3_000;
const terminateMs = 10_000;
/** Folders of commands stay that long after their call has its outcome. */
const keptMs = 24 * 3_600_000;

/** `atStart`: the process that set a mark may be the one that died, so marks are obeyed at any age. */
export async function sweepOnce(deps: CloseDeps, { atStart }: { atStart: boolean }): Promise<void> {
  const { store, engine, execs } = deps;
  await execs.endThoseWithOutcome();
  await execs.forgetEnded(keptMs);
  for (const turn of await store.turns.open()) {
    await repair(deps, turn, atStart).catch((error: unknown) =>
      deps.onError('A turn is left to the next sweep', error),
    );
  }
  for (const destination of await store.outbox.dueDestinations()) await engine.wakeDelivery(destination);
}

async function repair(deps: CloseDeps, turn: OpenTurn, atStart: boolean): Promise<void> {
  const { store, engine } = deps;
  const run = await engine.describe(turn.owner);
  if (run === 'unknown') {
    if (turn.state === 'claimed') {
      if (!turn.mustWait) await startClaimed(deps, [turn]);
      return;
    }
    // The engine lost this run. Whoever finds the new owner set starts it too: the one that set it may have died.
    await store.turns.renewOwner(turn.turnId, turn.owner);
    const renewed = await store.turns.find(turn.turnId);
    if (renewed) await startClaimed(deps, [{ ...turn, owner: renewed.owner, delayMs: 0 }]);
  } else if (run === 'closed') {
    // A used id refuses a new start: without this the chat would be blocked for ever.
    await closeFromStore(deps, { turnId: turn.turnId, owner: turn.owner, outcome: 'failed', reason: 'RunEnded' });
  } else if (turn.markedMs !== null && (atStart || turn.markedMs > cancelAgainMs)) {
    if (turn.markedMs > terminateMs) await terminateAndClose(deps, turn);
    else await engine.cancel(turn.owner);
  }
}

async function terminateAndClose(deps: CloseDeps, { turnId, owner }: { turnId: string; owner: string }): Promise<void> {
  await deps.engine.terminate(owner, 'stopped, but it did not end by itself');
  await closeFromStore(deps, { turnId, owner, outcome: 'stopped' });
}

/**
 * Who sets a mark looks again: cancels now and after 3 s, and after 10 s terminates and closes from the store. Resolves at once when
 * the turn has ended; never rejects, since the sweep does the same for marks whose setter died.
 */
export async function finishStop(
  deps: CloseDeps,
  target: { turnId: string; owner: string },
  sleep: (ms: number) => Promise<unknown>,
): Promise<void> {
  for (const waitMs of [0, cancelAgainMs, terminateMs - cancelAgainMs]) {
    await sleep(waitMs);
    try {
      const turn = await deps.store.turns.find(target.turnId);
      if (!turn || (turn.state !== 'claimed' && turn.state !== 'running')) return;
      if (waitMs <= cancelAgainMs) await deps.engine.cancel(target.owner);
      else await terminateAndClose(deps, target);
    } catch (error) {
      deps.onError('A stop is left to the sweep', error);
    }
  }
}

export function createSweep(deps: CloseDeps) {
  return async (): Promise<void> => {
    const context = Context.current();
    const timer = setInterval(() => context.heartbeat(), 2_000);
    try {
      await sweepOnce(deps, { atStart: false });
    } finally {
      clearInterval(timer);
    }
  };
}
