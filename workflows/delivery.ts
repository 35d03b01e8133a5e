import { condition, defineSignal, setHandler } from '@temporalio/workflow';
import { deliverAll } from './proxies.js';

/** A hint without payload: look again. What there is to do is a row. */
export const wake = defineSignal('wake');

const longestSleepMs = 10 * 60_000;

/** Sends what no turn sends, at one destination: cards, notices, what a turn could not send in its minute. Ends when nothing is due soon. */
export async function delivery({ destination }: { destination: string }): Promise<void> {
  let wakes = 0;
  setHandler(wake, () => {
    wakes++;
  });
  for (;;) {
    const seen = wakes;
    const { more, nextInMs } = await deliverAll({ destination });
    if (more || wakes !== seen) continue;
    if (nextInMs === null || nextInMs >= longestSleepMs) return; // later rows are the sweep's
    await condition(() => wakes !== seen, Math.max(nextInMs, 50), { summary: 'next try' });
  }
}
