// Says things that no row needs to hold: pieces of a stream, calls that begin and end. Nothing depends on their arrival.
import type { Delta, Progress } from './listener.js';
import type { Pool } from './pool.js';

export interface Speaker {
  delta(delta: Delta): void;
  progress(progress: Progress): void;
}

/** In order, one at a time; while the store is away what is said is lost. */
export function createSpeaker(pool: Pool): Speaker {
  let last = Promise.resolve();
  let waiting = 0;
  const say = (channel: string, words: unknown) => {
    if (waiting > 1_000) return; // the store is away or far behind; the recorded step shows everything
    waiting++;
    last = last
      .then(async () => {
        await pool.query({ name: 'say', text: 'select pg_notify($1, $2)', values: [channel, JSON.stringify(words)] });
      })
      .catch(() => {}) // a listener that misses a word shows the recorded step
      .finally(() => {
        waiting--;
      });
  };
  return { delta: (delta) => say('durabot_delta', delta), progress: (progress) => say('durabot_progress', progress) };
}
