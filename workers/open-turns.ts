import type { Standby } from './standby.js';

/** The sentence for a person whose leaving would leave open turns without a worker; undefined when it would not. */
export async function warningBeforeLeaving(standby: Standby): Promise<string | undefined> {
  if (!standby.works() || (await standby.otherWorkers()) > 0) return undefined;
  const open = await standby.store.turns.open();
  if (open.length === 0) return undefined;
  const what =
    open.length === 1 ? 'One turn is still open and sleeps' : `${open.length} turns are still open and sleep`;
  return `${what} from now on, since no other worker runs. Nothing is lost: "durabot serve" goes on with it.`;
}
