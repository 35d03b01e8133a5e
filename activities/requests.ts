// How many requests to models a worker has under way. A small line in front of a semaphore, chat before everything else; an npm queue
// would do, but none lets a waiter leave by its own deadline while those who run are left alone.
import { NotNow } from '../store/rows.js';

export interface Requests {
  /** Waits for a place, at most 60 s; rejects with `Busy` when the line is full or the wait is over, with the signal's reason on abort. */
  inTurn<Result>(rank: 'chat' | 'background', signal: AbortSignal, work: () => Promise<Result>): Promise<Result>;
}

const longestWaitMs = 60_000;

interface Waiter {
  rank: 'chat' | 'background';
  enter(): void;
}

/** `atOnce` 0: no cap. As many as the cap may stand in line. */
export function createRequests(atOnce: number): Requests {
  if (atOnce === 0) return { inTurn: (_rank, _signal, work) => work() };
  const line: Waiter[] = [];
  let running = 0;

  const leave = () => {
    running--;
    const chat = line.findIndex((waiter) => waiter.rank === 'chat');
    const [next] = line.splice(Math.max(chat, 0), 1);
    next?.enter();
  };

  const place = (rank: Waiter['rank'], signal: AbortSignal) =>
    new Promise<void>((resolve, reject) => {
      const give = (end: () => void) => {
        clearTimeout(timer);
        signal.removeEventListener('abort', abort);
        const at = line.indexOf(waiter);
        if (at >= 0) line.splice(at, 1);
        end();
      };
      const waiter: Waiter = {
        rank,
        enter: () =>
          give(() => {
            running++;
            resolve();
          }),
      };
      const abort = () => give(() => reject(signal.reason));
      const busy = () =>
        reject(new NotNow('Busy', `${running} requests to models are under way in this worker`, 2_000));
      const timer = setTimeout(() => give(busy), longestWaitMs);
      signal.addEventListener('abort', abort, { once: true });
      if (signal.aborted) abort();
      else if (running < atOnce) waiter.enter();
      else if (line.length >= atOnce) give(busy);
      else line.push(waiter);
    });

  return {
    async inTurn(rank, signal, work) {
      await place(rank, signal);
      try {
        return await work();
      } finally {
        leave();
      }
    },
  };
}
