/**
 * Runs `work` while holding the lock file at `path`; waits for as long as a living process holds it.
 * `onWait` is called once, with the holder's pid, when there is something to wait for.
 */
export function withLock<T>(
  path: string,
  work: () => Promise<T>,
  options?: { onWait?: (pid: number) => void },
): Promise<T>;
