import { sweep as sweepOnce } from './proxies.js';

/** Repairs what dead processes left: see the activity. */
export async function sweep(): Promise<void> {
  await sweepOnce();
}
