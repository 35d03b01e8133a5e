// Which processes of durabot run for a home: each one leaves a file in run/processes while it lives. A file of a dead
// process means nothing and is removed by whoever finds it.
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import { readJsonIfWhole, replaceFile } from './local-stack/files.js';
import { identityOf, isSameProcess } from './local-stack/processes.mjs';

const presenceSchema = z.object({
  /** The command: `serve`, `start`, `worker`, `gateway`, `run`, `shell`. */
  command: z.string(),
  /** It polls, so turns go on while it lives. */
  works: z.boolean(),
  pid: z.number().int().positive(),
  startedAt: z.string(),
  since: z.string(),
});

export type Presence = z.infer<typeof presenceSchema>;

function folderOf(home: string): string {
  return join(home, 'run', 'processes');
}

/** Says that this process runs; the answer takes it back. After a kill nobody does, and `findProcesses` sees through it. */
export async function announceProcess(
  home: string,
  facts: { command: string; works: boolean },
): Promise<() => Promise<void>> {
  await mkdir(folderOf(home), { recursive: true, mode: 0o700 });
  const path = join(folderOf(home), `${process.pid}.json`);
  const presence: Presence = { ...facts, ...(await identityOf(process.pid)), since: new Date().toISOString() };
  await replaceFile(path, JSON.stringify(presence));
  return () => rm(path, { force: true });
}

/** The processes that live now, oldest first. */
export async function findProcesses(home: string): Promise<Presence[]> {
  const names = await readdir(folderOf(home)).catch(() => []);
  const found: Presence[] = [];
  for (const name of names.filter((one) => one.endsWith('.json'))) {
    const path = join(folderOf(home), name);
    const presence = presenceSchema.safeParse(await readJsonIfWhole(path)).data;
    if (presence && (await isSameProcess(presence))) found.push(presence);
    else await rm(path, { force: true });
  }
  return found.sort((a, b) => a.since.localeCompare(b.since));
}

/** Asks it to end in order; after `graceMs` it is ended. True when it is gone. */
export async function stopProcess(presence: Presence, graceMs: number): Promise<boolean> {
  for (const [signal, withinMs] of [
    ['SIGTERM', graceMs],
    ['SIGKILL', 5000],
  ] as const) {
    if (!(await isSameProcess(presence))) return true;
    process.kill(presence.pid, signal);
    const until = performance.now() + withinMs;
    while (performance.now() < until) {
      if (!(await isSameProcess(presence))) return true;
      await pause(50);
    }
  }
  return !(await isSameProcess(presence));
}
