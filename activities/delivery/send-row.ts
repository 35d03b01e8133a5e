// One part of a reply on its way to a platform. The row is `sending` before the first byte leaves; an answer that was lost is looked
// up, and where nobody can tell the channel's policy decides, with a mark on the copy that may be the second.
import { setTimeout as sleep } from 'node:timers/promises';
import { type Channel, NotSent, type Receipt } from '../../channels/channel.js';
import type { Store } from '../../store/index.js';
import type { ClaimedRow } from '../../store/outbox.js';
import { overtaken } from '../../store/rows.js';
import { whileStoreIsAway } from '../attempt.js';

export interface SendDeps {
  store: Store;
  channel: Channel;
  /** Aborted when the activity is. */
  signal: AbortSignal;
}

const secondLookMs = 2_000;
const renewMs = 250;
const quickTries = 3;
const mostTries = 6;
const longestDelayMs = 600_000;

/**
 * Sends a row that this attempt has claimed and marks what became of it. Retry: a row found in `sending` is looked up, never blindly
 * sent again. Rejects when the outcome is unknown (the row stays `sending`) or when another sender has taken the row over.
 */
export async function sendRow(deps: SendDeps, row: ClaimedRow): Promise<void> {
  const { store, channel } = deps;
  if (row.wasUnknown) {
    const decided = await resolveUnknown(deps, row);
    if (decided !== 'send again') return;
  }
  const marked = row.wasUnknown && !channel.find;
  let receipt: Receipt;
  try {
    receipt = await renewing(deps, row, (signal) =>
      channel.send(row.destination, { text: row.text, key: row.deliveryKey, repeat: marked }, signal),
    );
  } catch (error) {
    if (!(error instanceof NotSent)) throw error; // it may have arrived: the next attempt looks
    await giveBack(deps, row, error);
    return;
  }
  store.crashPoint('outbox.send', 'after');
  store.crashPoint('outbox.receipt', 'before');
  store.crashPoint('outbox.receipt', 'after');
  const ours = await whileStoreIsAway(60_000, () => store.outbox.markSent(row, receipt, marked));
  if (!ours) await withdraw(deps, row, receipt);
}

/** An earlier sender died between the platform and its mark. Looking too early finds nothing while its bytes are still on their way. */
async function resolveUnknown({ store, channel }: SendDeps, row: ClaimedRow): Promise<'send again' | 'settled'> {
  if (channel.find) {
    let found = await channel.find(row.destination, row.deliveryKey);
    if (!found) {
      await sleep(secondLookMs);
      found = await channel.find(row.destination, row.deliveryKey);
    }
    if (!found) return 'send again';
    await whileStoreIsAway(60_000, () => store.outbox.markSent(row, found));
    return 'settled';
  }
  if (channel.whenUnknown === 'prefer duplicate') return 'send again';
  await store.outbox.bury(row, 'unknown', 'it may have arrived, and this channel cannot look');
  return 'settled';
}

async function giveBack({ store }: SendDeps, row: ClaimedRow, error: NotSent): Promise<void> {
  const givenUp = error.permanent || (!error.channelDown && row.tries >= mostTries);
  const kept = givenUp
    ? await store.outbox.bury(row, 'failed', error.message)
    : await store.outbox.release(row, error.retryAfterMs ?? delayAfter(row.tries), error.message);
  if (!kept) throw overtaken('Another sender has this row');
}

/** 1, 2, 4 s, then up to ten minutes apart. */
export function delayAfter(tries: number): number {
  if (tries <= quickTries) return 1_000 * 2 ** (tries - 1);
  return Math.min(15_000 * 2 ** (tries - quickTries), longestDelayMs);
}

// Superseded after our send: ours is the double only when the receipt that stands names another copy.
async function withdraw({ store, channel }: SendDeps, row: ClaimedRow, receipt: Receipt): Promise<never> {
  for (;;) {
    const standing = await store.outbox.find(row.id);
    if (!standing || standing.state === 'failed' || standing.state === 'cancelled') break;
    if (standing.state === 'sent') {
      if (JSON.stringify(standing.receipt) !== JSON.stringify(receipt))
        await channel.remove?.(row.destination, receipt);
      break;
    }
    await sleep(500);
  }
  throw overtaken('Another sender has this row');
}

async function renewing<Result>(
  { store, signal }: SendDeps,
  row: ClaimedRow,
  send: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const timer = setInterval(() => {
    store.outbox.renew(row).catch(() => {}); // the store is away for everybody: nobody takes the row over meanwhile
  }, renewMs);
  try {
    return await send(signal);
  } finally {
    clearInterval(timer);
  }
}
