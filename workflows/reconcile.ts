import { setHandler } from '@temporalio/workflow';
import { wake } from './delivery.js';
import { reconcile as reconcileOnce } from './proxies.js';

/** Makes the engine equal to the store: attributes and Schedules. One id, so that two never run at once; woken meanwhile, it looks again. */
export async function reconcile(): Promise<void> {
  let wakes = 0;
  setHandler(wake, () => {
    wakes++;
  });
  for (let seen = -1; seen !== wakes; ) {
    seen = wakes;
    await reconcileOnce();
  }
}
