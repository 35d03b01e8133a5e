// Notices when the engine comes back, and when it comes back empty: then its attributes and Schedules are made again and open turns
// are started from the store. The new namespace id is stored last, so a rebuild that was cut short is done again.
import type { Client } from '@temporalio/client';
import type { Store } from '../store/index.js';

export interface WatchOptions {
  client: Client;
  store: Store;
  sweep(atStart: boolean): Promise<void>;
  /** Makes attributes and Schedules. Repeatable. */
  rebuild(): Promise<void>;
  wakeReconcile(): Promise<void>;
  onError(message: string, error: unknown): void;
  everyMs?: number;
}

export interface Watch {
  /** Sweeps now, then looks at the engine every two seconds. */
  start(): void;
  sweepSoon(): void;
  /** The work of the workflow `reconcile`. */
  reconcile(): Promise<void>;
  stop(): Promise<void>;
}

export function watchEngine({
  client,
  store,
  sweep,
  rebuild,
  wakeReconcile,
  onError,
  everyMs = 2_000,
}: WatchOptions): Watch {
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let due: 'start' | 'again' | undefined = 'start';
  let looking: Promise<void> | undefined;

  async function namespaceId(): Promise<string> {
    const { namespaceInfo } = await client.workflowService.describeNamespace({ namespace: client.options.namespace });
    return namespaceInfo?.id ?? '';
  }

  // A look that fails means: sweep as soon as one succeeds.
  async function look(): Promise<void> {
    try {
      const id = await client.withDeadline(Date.now() + 5_000, namespaceId);
      if ((await store.installation.namespaceId()) !== id) await wakeReconcile();
      if (!due) return;
      const atStart = due === 'start';
      due = undefined;
      await sweep(atStart);
    } catch (error) {
      if (!due) onError('The engine or the store is away', error);
      due ??= 'again';
    }
  }

  function next(): void {
    if (stopped) return;
    looking = look().finally(() => {
      if (!stopped) timer = setTimeout(next, due ? 500 : everyMs);
    });
  }

  return {
    start: next,
    sweepSoon() {
      due ??= 'again';
    },
    async reconcile() {
      const id = await namespaceId();
      await rebuild();
      await sweep(false);
      await store.installation.setNamespaceId(id);
    },
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await looking;
    },
  };
}
