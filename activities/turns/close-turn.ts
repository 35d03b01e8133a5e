// The ends that no step records: a stop, a failure, a run that is gone. What ran under the turn is ended before its row says so.
import { activityInfo } from '@temporalio/activity';
import type { Store } from '../../store/index.js';
import type { Engine, TurnOutcome, TurnRef } from '../../workflows/contract.js';
import { asFailure } from '../attempt.js';
import type { Execs } from '../tools/exec/execs.js';
import { startClaimed } from './start-claimed.js';

export interface CloseDeps {
  store: Store;
  engine: Engine;
  execs: Execs;
  onError(message: string, error: unknown): void;
}

export interface Close extends TurnRef {
  outcome: 'stopped' | 'failed';
  /** The failure's stable type: the notice is one plain sentence made of it. */
  reason?: string;
}

/** Closes the turn of this run. Retry, or a turn that is closed: returns what stands, and starts the turn that waits for its run. */
export function createCloseTurn(deps: CloseDeps) {
  return (close: Close): Promise<TurnOutcome | 'superseded'> =>
    asFailure(async () => {
      const owner = activityInfo().workflowExecution?.workflowId ?? '';
      return (await closeFromStore(deps, { ...close, owner })).outcome;
    });
}

/** The same for whoever finds the run gone or has terminated it: the sweep, and who set a stop mark that nobody obeyed. */
export async function closeFromStore(deps: CloseDeps, { turnId, owner, outcome, reason }: Close & { owner: string }) {
  const { store, execs } = deps;
  const turn = await store.turns.find(turnId);
  // A run that is not the owner ends nothing of the turn's.
  const neverRan = turn?.owner === owner ? await endCommands(deps, turnId) : new Set<string>();
  const closed = await store.turns.close(turnId, owner, { outcome, reason, neverRan });
  await startClaimed(deps, closed.claimed);
  await execs.endThoseWithOutcome().catch((error: unknown) => deps.onError('Supervisors are left to the sweep', error));
  return closed;
}

/**
 * Ends the commands of this host that the turn began. Of one that has no folder yet the folder is made here: a supervisor that comes
 * late finds it and ends, and "did not run" is the truth. Returns the calls of which that is so.
 */
async function endCommands({ store, execs }: CloseDeps, turnId: string): Promise<Set<string>> {
  const callIds = await store.turns.startedExecs(turnId, execs.host);
  const neverRan = new Set<string>();
  for (const callId of callIds) {
    if ((await execs.endOrEntomb({ turnId, callId })) === 'never') neverRan.add(callId);
  }
  return neverRan;
}
