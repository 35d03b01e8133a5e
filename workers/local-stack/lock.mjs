// One holder at a time, across processes: a file that names its holder. Plain JavaScript, because set-up needs it
// before anything is built. A holder that died is recognised by pid and start time, so nobody cleans up by hand.
import { link, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { identityOf, isSameProcess } from './processes.mjs';

const retryMs = 50;
// Held for a few file operations. Longer means that its holder died in them.
const breakingStaleMs = 10_000;

/** Runs `work` while holding the lock file. `onWait` is called once, when somebody else holds it, with that pid. */
export async function withLock(path, work, { onWait } = {}) {
  await mkdir(dirname(path), { recursive: true });
  const mine = JSON.stringify(await identityOf(process.pid));
  let told = false;
  while (!(await createExclusively(path, mine))) {
    const holder = await readHolder(path);
    if (holder && !(await isSameProcess(holder))) {
      await breakLock(path, holder);
      continue;
    }
    if (!told && holder) {
      told = true;
      onWait?.(holder.pid);
    }
    await pause(retryMs);
  }
  try {
    return await work();
  } finally {
    await rm(path, { force: true });
  }
}

// Two waiters may both see the dead holder. Only one at a time may remove the file, and only if it still names
// that holder: otherwise the slower one would remove the lock that the faster one has just taken.
async function breakLock(path, deadHolder) {
  const breaking = `${path}.breaking`;
  if (!(await createExclusively(breaking, ''))) {
    const age = Date.now() - ((await stat(breaking).catch(() => undefined))?.mtimeMs ?? Date.now());
    if (age > breakingStaleMs) await rm(breaking, { force: true });
    await pause(retryMs);
    return;
  }
  try {
    const holder = await readHolder(path);
    if (holder && holder.pid === deadHolder.pid && holder.startedAt === deadHolder.startedAt) await rm(path);
  } finally {
    await rm(breaking, { force: true });
  }
}

// Written first, then linked: a process that dies in between leaves no lock without a holder's name.
async function createExclusively(path, content) {
  const draft = `${path}.${process.pid}.${Math.random().toString(36).slice(2)}`;
  await writeFile(draft, content, { mode: 0o600 });
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

async function readHolder(path) {
  const raw = await readFile(path, 'utf8').catch(() => undefined);
  return raw ? JSON.parse(raw) : undefined; // undefined: released meanwhile
}
