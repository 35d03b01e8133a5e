// The side that people talk to: it accepts, and follows what it accepted. It polls no task queue, so it goes on accepting while the
// engine is away, and any number of workers may live elsewhere.
import { join } from 'node:path';
import { createExecs } from '../activities/tools/exec/execs.js';
import type { CloseDeps } from '../activities/turns/close-turn.js';
import { finishStop } from '../activities/turns/sweep.js';
import { createAccept } from '../channels/accept.js';
import type { Accept } from '../channels/channel.js';
import { createStore, type Store } from '../store/index.js';
import { type Listener, openListener } from '../store/listener.js';
import type { StopTarget } from '../store/rows.js';
import type { Engine } from '../workflows/contract.js';
import type { Base } from './compose.js';
import { remindSweep } from './remind-sweep.js';

export interface Gateway {
  store: Store;
  listener: Listener;
  engine: Engine;
  accept: Accept;
  /** Follows a stop mark to its end. `hopeless`: no worker will obey it, so its run is ended at once. */
  finishStop(target: StopTarget, hopeless?: boolean): Promise<void>;
  /** A worker sweeps as soon as the engine can be reached. For a process that was killed: what it had left is found then. */
  sweepSoon(): void;
  close(): Promise<void>;
}

/** `engine`: that of a worker in this process, or a client's own. Resolves when messages can be accepted. */
export async function openGateway(base: Base, engine: Engine): Promise<Gateway> {
  const { config, servers, storeDeps, onError } = base;
  const store = createStore(storeDeps);
  const listener = await openListener({
    databaseUrl: servers.databaseUrl,
    onError: (error) => onError('Listening was interrupted', error),
  });
  const execs = await createExecs({
    dataDir: join(config.home, 'data'),
    liveCalls: (keys) => store.turns.liveCalls(keys),
  });
  const reminder = remindSweep(engine);
  const closing: CloseDeps = { store, engine, execs, onError };
  const follow = (target: StopTarget, hopeless = false) =>
    finishStop(closing, target, hopeless ? async () => {} : unrefSleep);
  return {
    store,
    listener,
    engine,
    accept: createAccept({
      store,
      engine,
      finishStop: (target) => follow(target),
      onLeft(message, error) {
        onError(message, error);
        reminder.soon();
      },
    }),
    finishStop: follow,
    sweepSoon: () => reminder.soon(),
    async close() {
      reminder.stop();
      await listener.close();
    },
  };
}

// Following a stop to its end must not keep a process that wants to leave: the sweep does the same.
function unrefSleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
