import { copyFile, stat, truncate } from 'node:fs/promises';

const maxBytes = 10_000_000;

/**
 * Keeps the log of a server that is about to start below some 20 MB: a full one is put aside once. Copied and emptied, not
 * renamed, because an earlier server may still be writing into it.
 */
export async function trimLog(path: string): Promise<void> {
  const facts = await stat(path).catch(() => undefined);
  if (!facts || facts.size < maxBytes) return;
  await copyFile(path, `${path}.1`);
  await truncate(path);
}
