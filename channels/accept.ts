// Takes messages into our keeping. The store's commit is what may be acknowledged; what follows it is repeated by whoever finds it done.
import type { Store } from '../store/index.js';
import type { StopTarget } from '../store/rows.js';
import type { Engine } from '../workflows/contract.js';
import type { Accept } from './channel.js';

export interface AcceptDeps {
  store: Store;
  engine: Engine;
  /** Aborts what this process does for a stopped turn, cancels its run, and looks again until it has ended. */
  finishStop(target: StopTarget): Promise<void>;
  /** The engine did not hear of something: it is left to the next sweep. */
  onLeft(message: string, error: unknown): void;
}

/**
 * Once `accept` resolves, a message belongs to exactly one turn (or waits for its own), a command has chosen what it acts on, and the
 * caller may acknowledge. Call again: a redelivery finds the first row, known by channel, account and external id, and changes
 * nothing. Rejects only when the store cannot write; then do not acknowledge.
 */
export function createAccept({ store, engine, finishStop, onLeft }: AcceptDeps): Accept {
  return async function accept(incoming) {
    const accepted = await store.conversations.accept(incoming);
    // Not awaited: the platform waits for the store, not for the engine. A turn that runs already reads the row at its next step.
    for (const turn of accepted.claimed) {
      store.crashPoint('turn.start', 'before');
      engine
        .startTurn(turn)
        .then(() => store.crashPoint('turn.start', 'after'))
        .catch((error: unknown) => onLeft('A claimed turn is left to the sweep', error));
    }
    for (const target of accepted.acted?.stopped ?? []) {
      finishStop(target).catch((error: unknown) => onLeft('A stop is left to the sweep', error));
    }
    if (accepted.replyAt) {
      const left = (error: unknown) => onLeft('The answer to a command is left to the sweep', error);
      engine.wakeDelivery(accepted.replyAt).catch(left);
    }
    store.crashPoint('intake.acknowledge', 'before'); // the other side is the channel's: it knows when its platform has heard
    return accepted;
  };
}
