// Sends what is due at one destination, in order, one row after the other: a turn's last activity, and the whole of `delivery`.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { activityInfo, Context } from '@temporalio/activity';
import type { Channel } from '../../channels/channel.js';
import type { Store } from '../../store/index.js';
import { NotNow } from '../../store/rows.js';
import type { Engine } from '../../workflows/contract.js';
import { asFailure, beating } from '../attempt.js';
import { sendRow } from './send-row.js';

export interface DeliverDeps {
  store: Store;
  engine: Engine;
  channels: ReadonlyMap<string, Channel>;
}

/** A turn delivers at its own address; `delivery` at the destination it is named for. */
export type Deliver = { turnId: string } | { destination: string };

export interface Delivered {
  /** Time is up and rows are still due. */
  more: boolean;
  /** Until the next row may go; null when none waits. */
  nextInMs: number | null;
}

const turnsMinuteMs = 60_000;
const deliveryMs = 90_000;
const silenceLookMs = 400;

/**
 * Retry: the next attempt of this activity takes over at once the row that the last one was sending, and looks before it sends.
 * Fails retryably as `DestinationBusy` while somebody else sends there.
 */
export function createDeliver(deps: DeliverDeps) {
  return (input: Deliver): Promise<Delivered> =>
    asFailure(() =>
      beating(async () => {
        const ofTurn = 'turnId' in input;
        const destination = ofTurn
          ? ((await deps.store.turns.find(input.turnId))?.addressId ?? null)
          : input.destination;
        if (!destination) return { more: false, nextInMs: null };
        const { scheduledTimestampMs } = activityInfo();
        const end = ofTurn ? scheduledTimestampMs + turnsMinuteMs : Date.now() + deliveryMs;
        const left = await sendDue(deps, destination, end);
        if (ofTurn && (left.more || left.nextInMs !== null)) await deps.engine.wakeDelivery(destination);
        return left;
      }),
    );
}

async function sendDue(deps: DeliverDeps, destination: string, end: number): Promise<Delivered> {
  const { activityId, workflowExecution } = activityInfo();
  const holder = `${workflowExecution?.runId}/${activityId}`;
  const token = randomUUID();
  let seen: string | undefined;
  while (Date.now() < end) {
    const claim = await deps.store.outbox.claim({ destination, holder, token, seen });
    if (claim.kind === 'nothing due') return { more: false, nextInMs: claim.nextInMs };
    if (claim.kind === 'busy') {
      if (!claim.silent || seen === claim.seen)
        throw new NotNow('DestinationBusy', 'Somebody else is sending there', 250);
      seen = claim.seen; // given up when a second look finds the same last sign of life
      await sleep(silenceLookMs);
      continue;
    }
    seen = undefined;
    const channel = deps.channels.get(claim.row.destination.channel);
    // Receiving nothing is not "delivered": rows of a channel that is not here wait for a worker that has it.
    if (!channel) await deps.store.outbox.release(claim.row, 60_000, 'its channel is not configured on this worker');
    else await sendRow({ store: deps.store, channel, signal: Context.current().cancellationSignal }, claim.row);
  }
  return { more: true, nextInMs: null };
}
