// Runs one command and outlives the worker that asked for it. What it promises:
// - The command starts at most once: the folder of the call appears complete, by one rename, and whoever comes second ends.
// - It ends by itself at its time limit, at its limits of memory, processes and disk, and on SIGTERM, with all that it started.
// - The exit file stands, flushed, before this process ends. A folder without it and without this process is "may have happened".
// Plain JavaScript without dependencies, so that it starts from the sources as from the build.
import { execFileSync, spawn } from 'node:child_process';
import {
  closeSync,
  constants,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { Socket } from 'node:net';
import { setPriority } from 'node:os';
import { dirname, join } from 'node:path';
import { KeptOutput } from './kept-output.mjs';
import {
  bootId,
  carriersOf,
  membersOf,
  proportionalBytes,
  residentBytes,
  startTimeOf,
  tasksOnMachine,
} from './processes.mjs';

const graceMs = 1000; // between SIGTERM and SIGKILL, and for pipes that somebody still holds open
const glanceMs = 50;
const lookMs = 250;
const exitFileBytes = 4096;

/** @type {import('./job.js').Job} */
const job = JSON.parse(readFileSync(0, 'utf8')); // the worker died while it wrote: nothing was made, nothing runs
const sandboxed = job.program.hiddenArgs !== undefined;
const startedAt = new Date();
const seen = new Map();
let child;
let gone = false;
let sandboxInit; // process 1 of the sandbox: when it is gone, everything in there is gone
let exitStatus; // what the sandbox says of the command; it says nothing when it could not be set up
let ended = 'by itself';

process.on('SIGTERM', () => end('stopped', 'gently'));
process.on('SIGINT', () => end('stopped', 'gently'));
process.on('SIGHUP', () => {});
process.on('exit', killAll); // also when this program fails: the command does not run on without its limits

const output = claimFolder();
tellStarter('');
if (output) run(output);

/** Makes the folder of the call, or finds that somebody else has. */
function claimFolder() {
  try {
    return makeFolder();
  } catch (error) {
    tellStarter(error.message); // nothing was made, nothing runs
    process.exit(1);
  }
}

function makeFolder() {
  const fresh = mkdtempSync(join(dirname(job.folder), '.new-'));
  mkdirSync(join(fresh, 'output'), { mode: 0o700 });
  const kept = ['stdout', 'stderr'].map((name) => new KeptOutput(join(fresh, 'output', name)));
  const identity = { bootId: bootId(), pid: process.pid, startTime: startTimeOf(process.pid) };
  writeFileSync(join(fresh, 'supervisor.json'), JSON.stringify({ ...identity, marker: job.marker }), { mode: 0o600 });
  writeFileSync(join(fresh, 'command'), job.command, { mode: 0o600 });
  // Its room is taken now: a command that fills the disk must not keep us from saying how it ended.
  writeFileSync(join(fresh, 'exit.json.new'), ' '.repeat(exitFileBytes), { mode: 0o600 });
  try {
    renameSync(fresh, job.folder); // refused when the folder is there: it is never empty
    return kept;
  } catch (error) {
    rmSync(fresh, { recursive: true, force: true });
    if (error.code === 'ENOTEMPTY' || error.code === 'EEXIST') return undefined;
    throw error;
  }
}

/** The folder is decided, or cannot be: the starter, if it still lives, need not wait any longer. */
function tellStarter(complaint) {
  try {
    writeSync(1, `${complaint}\n`);
  } catch {
    // it is dead: we go on without it
  }
}

function run([stdout, stderr]) {
  const clock = performance.now();
  const timers = [];
  let pipes;
  try {
    pipes = openPipes();
    child = start(pipes);
  } catch (error) {
    return finish(notStarted(error));
  }
  for (const pipe of pipes) closeSync(pipe.writeEnd);
  const closed = [drain(pipes[0].readEnd, stdout), drain(pipes[1].readEnd, stderr)];
  if (sandboxed && child.pid) closed.push(talkToSandbox());
  if (child.pid) lowerPriority(child.pid);
  timers.push(
    setTimeout(() => end('time over', 'gently'), job.timeLimitMs),
    setInterval(watcher(), glanceMs),
  );

  child.on('error', (error) => finish(notStarted(error)));
  child.on('exit', (exitCode, signal) => {
    gone = true;
    killAll();
    Promise.race([Promise.all(closed), after(graceMs)])
      .then(untilNothingIsLeft)
      .then(() => finish(statusOf(exitCode, signal)));
  });

  function finish(status) {
    for (const timer of timers) clearTimeout(timer);
    const durationMs = Math.round(performance.now() - clock);
    writeExit({ ...status, ...ofJob(), durationMs, stdoutBytes: stdout.total, stderrBytes: stderr.total });
    process.exit(0);
  }
}

function start(pipes) {
  return spawn(job.program.file, job.program.args, {
    cwd: job.program.cwd,
    env: job.program.env,
    detached: true, // a session and a group of its own, which can be signalled as a whole
    stdio: ['ignore', ...pipes.map((pipe) => pipe.writeEnd), ...(sandboxed ? ['pipe', 'pipe'] : [])],
  });
}

function notStarted(error) {
  return { ended: 'not started', exitCode: null, signal: null, cause: error.message };
}

/** A sandbox that exits on its own without a word about the command has not started it: its reason is on stderr. */
function statusOf(exitCode, signal) {
  const neverBegan = sandboxed && exitStatus === undefined && signal === null && ended === 'by itself';
  return { ended: neverBegan ? 'not started' : ended, exitCode: exitStatus ?? exitCode, signal };
}

/** What a later reader cannot know: he may be another worker, or not have the arguments. */
function ofJob() {
  const { timeLimitMs, limits, maxOutputChars } = job;
  return { startedAt: startedAt.toISOString(), timeLimitMs, limits, maxOutputChars };
}

/** Real pipes: what Node makes of 'pipe' is a socket, and a command cannot open /dev/stderr on that. */
function openPipes() {
  const paths = ['stdout', 'stderr'].map((name) => join(job.folder, `${name}.pipe`));
  execFileSync('mkfifo', ['-m', '600', ...paths], { stdio: 'ignore', env: { PATH: '/usr/bin:/bin' } });
  const pipes = paths.map((path) => ({
    readEnd: openSync(path, constants.O_RDONLY | constants.O_NONBLOCK),
    writeEnd: openSync(path, constants.O_WRONLY),
  }));
  for (const path of paths) rmSync(path);
  return pipes;
}

function drain(fd, kept) {
  const stream = new Socket({ fd, readable: true, writable: false });
  stream.on('data', (chunk) => kept.write(chunk));
  stream.on('error', () => {}); // its close follows
  return new Promise((resolve) => stream.on('close', resolve));
}

function talkToSandbox() {
  const [, , , hiddenArgs, status] = child.stdio;
  hiddenArgs.on('error', () => {}); // it ended before it had read them; its exit tells
  hiddenArgs.end(job.program.hiddenArgs.map((arg) => `${arg}\0`).join(''));
  let said = '';
  status.on('error', () => {});
  status.setEncoding('utf8').on('data', (text) => {
    said += text;
    const init = /"child-pid": (\d+)/.exec(said);
    if (init && !sandboxInit) sandboxInit = { pid: Number(init[1]), startTime: startTimeOf(Number(init[1])) };
    const code = /"exit-code": (\d+)/.exec(said);
    if (code) exitStatus = Number(code[1]);
  });
  return new Promise((resolve) => status.on('close', resolve));
}

/** Ends the command, once: the first reason is the one that is reported. */
function end(reason, how) {
  if (ended !== 'by itself' || !child?.pid || gone) return;
  ended = reason;
  if (how !== 'gently') return killAll();
  // The sandbox itself would take SIGTERM for SIGKILL and give those inside no chance.
  for (const { pid } of membersOf(child.pid, seen)) if (!sandboxed || pid !== child.pid) signal(pid, 'SIGTERM');
  setTimeout(killAll, graceMs);
}

/**
 * The sandbox takes all of its processes with it. Without one: the group, at once so that nobody can fork away; its session, what
 * descends from it, and what carries the mark. The number of a group is not given out again while anybody is in it.
 */
function killAll() {
  if (!child?.pid || (sandboxed && gone)) return;
  signal(sandboxed ? child.pid : -child.pid, 'SIGKILL');
  if (sandboxed) return;
  for (const { pid } of membersOf(child.pid, seen)) signal(pid, 'SIGKILL');
  for (const pid of carriersOf(job.marker)) signal(pid, 'SIGKILL');
}

function signal(pid, name) {
  try {
    process.kill(pid, name);
  } catch (error) {
    // Gone meanwhile, or it runs as somebody else by `sudo`, which only works without a sandbox.
    if (error.code !== 'ESRCH' && error.code !== 'EPERM') throw error;
  }
}

async function untilNothingIsLeft() {
  const deadline = performance.now() + graceMs;
  while (isAnythingLeft() && performance.now() < deadline) {
    killAll();
    await after(5);
  }
}

function isAnythingLeft() {
  if (sandboxed) return sandboxInit?.startTime !== undefined && startTimeOf(sandboxInit.pid) === sandboxInit.startTime;
  return membersOf(child.pid, seen).some((row) => !row.zombie) || carriersOf(job.marker).length > 0;
}

/**
 * Control groups may be missing, so the whole is measured from outside, and a burst between two looks is not seen. A bomb starves
 * whoever has to read about each of its processes: when a glance shows that their number jumps, they are held while we look.
 */
function watcher() {
  const enoughFree = freeBytesToKeep();
  let lastLook = performance.now();
  let lastTasks = tasksOnMachine();
  return () => {
    const tasks = tasksOnMachine();
    const jumps = tasks - lastTasks > job.limits.processes / 2; // false where nothing is told
    if (!jumps && performance.now() - lastLook < lookMs) return;
    lastLook = performance.now();
    lastTasks = tasks;
    const group = sandboxed ? sandboxInit?.pid : child.pid;
    if (jumps && group) signal(-group, 'SIGSTOP');
    look(enoughFree);
    if (jumps && group) signal(-group, 'SIGCONT');
  };
}

function look(enoughFree) {
  const rows = membersOf(child.pid, seen);
  const own = sandboxed ? 2 : 0; // the sandbox's two processes
  const tasks = rows.reduce((sum, row) => sum + row.threads, 0);
  if (rows.length - own > job.limits.processes || tasks > 16 * job.limits.processes)
    return end('too many processes', 'at once');
  const isOver = () => proportionalBytes(membersOf(child.pid, seen)) > job.limits.memoryBytes;
  // Twice: while processes end, the shares of the others grow from one reading to the next.
  if (residentBytes(rows) > job.limits.memoryBytes && isOver() && isOver()) return end('over memory', 'at once');
  if (freeBytes() < enoughFree) end('disk almost full', 'at once');
}

/** On a disk that was almost full before, the command may use half of what is left. */
function freeBytesToKeep() {
  const free = freeBytes();
  return free > job.limits.minFreeBytes ? job.limits.minFreeBytes : free / 2;
}

function freeBytes() {
  try {
    const disk = statfsSync(job.workspace);
    return disk.bavail * disk.bsize;
  } catch {
    return Number.POSITIVE_INFINITY; // the workspace was moved away: no reason to end the command
  }
}

/** A bomb must not starve the one that ends it. */
function lowerPriority(pid) {
  try {
    setPriority(pid, 10);
  } catch {
    // it has ended already
  }
}

function writeExit(record) {
  rmSync(join(job.folder, 'command'), { force: true });
  const path = join(job.folder, 'exit.json.new');
  const text = JSON.stringify(record).padEnd(exitFileBytes);
  const fd = openSync(path, 'r+');
  writeSync(fd, text);
  fsyncSync(fd);
  closeSync(fd);
  renameSync(path, join(job.folder, 'exit.json'));
  const folder = openSync(job.folder, 'r');
  fsyncSync(folder);
  closeSync(folder);
}

function after(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
