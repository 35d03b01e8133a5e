import type { Say } from './stack-settings.js';

const slowMs = 1000;
const stillMs = 15_000;

/** Runs `work`, and says so when it takes over a second; what is quick passes in silence. */
export async function sayWhenSlow<T>(say: Say, what: string, work: () => Promise<T>): Promise<T> {
  const began = performance.now();
  const seconds = () => ((performance.now() - began) / 1000).toFixed(1);
  let told = false;
  const first = setTimeout(() => {
    told = true;
    say(`${what} …`);
  }, slowMs);
  const later = setInterval(() => say(`${what}: ${seconds()} s so far`), stillMs);
  try {
    const result = await work();
    if (told) say(`${what}: done after ${seconds()} s`);
    return result;
  } finally {
    clearTimeout(first);
    clearInterval(later);
  }
}
