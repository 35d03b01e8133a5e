import { Context } from '@temporalio/activity';
import type { Store } from '../../store/index.js';
import type { Listener } from '../../store/listener.js';
import { isOpen } from '../../store/rows.js';
import type { TurnRef } from '../../workflows/contract.js';
import { asFailure, beating } from '../attempt.js';

/** How often the row is read when no word of its closing comes. */
const lookMs = 1_000;

/**
 * Resolves when the row of a child is closed: the end of a run proves nothing, it may have been terminated or given up to a new
 * owner. Retry: waits again. A stop ends the wait as a cancellation.
 */
export function createAwaitSubagent({ store, listener }: { store: Store; listener: Listener }) {
  return ({ turnId }: TurnRef): Promise<void> =>
    asFailure(() =>
      beating(async () => {
        const context = Context.current();
        for (;;) {
          const word = wordOf(listener, turnId);
          try {
            const child = await store.turns.find(turnId);
            if (!child || !isOpen(child.state)) return;
            await Promise.race([context.cancelled, context.sleep(lookMs), word.heard]);
          } finally {
            word.forget();
          }
        }
      }),
    );
}

function wordOf(listener: Listener, turnId: string): { heard: Promise<void>; forget(): void } {
  let forget = () => {};
  const heard = new Promise<void>((resolve) => {
    forget = listener.on('turn', (closed) => {
      if (closed === turnId) resolve();
    });
  });
  return { heard, forget: () => forget() };
}
