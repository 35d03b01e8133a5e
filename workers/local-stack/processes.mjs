// What the operating system knows of a process. Plain JavaScript, because set-up needs it before anything is built.
// A pid alone says nothing: it is given out again. Pid and start time together name one process.
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';

/** Is there such a process? A zombie counts as gone: in a container nobody may ever reap it. */
export async function isAlive(pid) {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (error.code !== 'EPERM') return false; // EPERM: it lives and belongs to somebody else
  }
  if (process.platform !== 'linux') return true;
  const stat = await procStat(pid);
  return stat !== undefined && stat.state !== 'Z' && stat.state !== 'X';
}

/** A word that two processes with the same pid never share; undefined when there is no such process. */
async function startTimeOf(pid) {
  if (process.platform === 'linux') return (await procStat(pid))?.startTicks;
  return (await ps(pid, 'lstart=')) || undefined;
}

/** The command line, as one string with spaces; undefined when there is no such process. */
export async function commandLineOf(pid) {
  if (process.platform === 'linux') {
    const raw = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => undefined);
    return raw === undefined || raw === '' ? undefined : raw.split('\0').join(' ').trim();
  }
  return (await ps(pid, 'command=')) || undefined;
}

/** This very process, or another one, as it can be found again after a restart of the machine. */
export async function identityOf(pid) {
  return { pid, startedAt: (await startTimeOf(pid)) ?? 'unknown' };
}

/** Does the process with this identity still run? */
export async function isSameProcess({ pid, startedAt }) {
  return (await isAlive(pid)) && (startedAt === 'unknown' || (await startTimeOf(pid)) === startedAt);
}

// The name in the second field may hold spaces and brackets, so the fields are counted from the last bracket.
async function procStat(pid) {
  const raw = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  if (raw === undefined) return undefined;
  const fields = raw.slice(raw.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0], startTicks: fields[19] };
}

function ps(pid, column) {
  if (process.platform === 'win32') return Promise.resolve(undefined);
  return new Promise((resolve) => {
    execFile('ps', ['-o', column, '-p', String(pid)], (_error, stdout) => resolve(stdout.trim() || undefined));
  });
}
