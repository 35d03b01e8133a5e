// Linux's process table, read directly: who a process is, what belongs to a command, who carries its mark.
// Plain JavaScript, because the supervisor uses it without anything being built.
import { readdirSync, readFileSync } from 'node:fs';

function read(path) {
  try {
    return readFileSync(path);
  } catch {
    return undefined; // gone between listing and reading, or not ours to read
  }
}

/** Differs after every boot, so a process of an earlier one is never taken for a living one. */
export function bootId() {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
}

function rowOf(pid) {
  const stat = read(`/proc/${pid}/stat`)?.toString('latin1');
  if (stat === undefined) return undefined;
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' '); // the name before may hold blanks and brackets
  return {
    pid,
    zombie: fields[0] === 'Z' || fields[0] === 'X',
    parent: Number(fields[1]),
    session: Number(fields[3]),
    threads: Number(fields[17]),
    startTime: fields[19],
    residentPages: Number(fields[21]),
  };
}

/** Ticks since boot at which the process began; undefined when it is gone or only waits to be reaped. */
export function startTimeOf(pid) {
  const row = rowOf(pid);
  return row && !row.zombie ? row.startTime : undefined;
}

/** A pid alone proves nothing: it may belong to somebody else by now. */
export function isAlive(identity) {
  return identity.bootId === bootId() && startTimeOf(identity.pid) === identity.startTime;
}

function allPids() {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/**
 * What belongs to the session that `root` leads or led, descends from it, or was `seen` to do so before: a process whose parent
 * died is handed to init, and one that asks for it gets a session of its own. Enters what it finds into `seen` (pid → start time).
 */
export function membersOf(root, seen) {
  const table = allPids().flatMap((pid) => rowOf(pid) ?? []);
  const children = new Map();
  for (const row of table) {
    const siblings = children.get(row.parent);
    if (siblings) siblings.push(row);
    else children.set(row.parent, [row]);
  }
  const members = new Map();
  const found = table.filter((row) => row.session === root || seen.get(row.pid) === row.startTime);
  for (const row of found) {
    if (members.has(row.pid)) continue;
    members.set(row.pid, row);
    found.push(...(children.get(row.pid) ?? []));
  }
  seen.clear();
  for (const row of members.values()) seen.set(row.pid, row.startTime);
  return [...members.values()];
}

/** Processes that inherited the mark of a command, wherever they have moved themselves. */
export function carriersOf(marker) {
  const wanted = `DURABOT_EXEC=${marker}`;
  return allPids().filter(
    (pid) => pid !== process.pid && read(`/proc/${pid}/environ`)?.toString('latin1').split('\0').includes(wanted),
  );
}

/** An upper bound, quick to get: pages that processes share count once for each. */
export function residentBytes(rows) {
  const bytes = pageBytes();
  return rows.reduce((sum, row) => sum + row.residentPages * bytes, 0);
}

/** What the processes really use, shared pages divided among those that share them. Takes the kernel a while for large ones. */
export function proportionalBytes(rows) {
  return rows.reduce((sum, row) => sum + (proportionalBytesOf(row.pid) ?? boundOf(row)), 0);
}

/** Not told: it has ended meanwhile, or the kernel keeps it from us. */
function boundOf(row) {
  return startTimeOf(row.pid) === row.startTime ? residentBytes([row]) : 0;
}

function proportionalBytesOf(pid) {
  const rollup = read(`/proc/${pid}/smaps_rollup`)?.toString('latin1');
  if (!rollup) return undefined;
  return [...rollup.matchAll(/^(?:Pss|SwapPss):\s+(\d+)/gm)].reduce((sum, match) => sum + Number(match[1]) * 1024, 0);
}

/** Node does not tell the page size; the kernel hands it to each process in its auxiliary vector. */
function pageBytes() {
  const pageSizeEntry = 6n;
  const raw = read('/proc/self/auxv');
  if (!raw) return 4096;
  const words = new BigUint64Array(raw.buffer.slice(raw.byteOffset, raw.byteOffset + raw.byteLength));
  for (let at = 0; at + 1 < words.length; at += 2) if (words[at] === pageSizeEntry) return Number(words[at + 1]);
  return 4096;
}

/** How many tasks the whole machine has: one small read, however many there are. Undefined where that is not told. */
export function tasksOnMachine() {
  const told = /\d+\/(\d+)/.exec(read('/proc/loadavg')?.toString('latin1') ?? '');
  return told ? Number(told[1]) : undefined;
}
