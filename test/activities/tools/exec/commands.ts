// A data folder and a workspace of a test's own, and commands in them: without a sandbox, or in the real one where there is one.
import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readFile, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, test } from '@jest/globals';
import { followExec, startOrAttach } from '../../../../activities/tools/exec/attach.js';
import { createExecTool, defaultExecLimits, type ExecToolOptions } from '../../../../activities/tools/exec/exec.js';
import { type ExitRecord, execFolder } from '../../../../activities/tools/exec/folder.js';
import type { CommandOrder } from '../../../../activities/tools/exec/job.js';
import { carriersOf, startTimeOf } from '../../../../activities/tools/exec/processes.mjs';
import { readOutput } from '../../../../activities/tools/exec/result.js';
import { probeSandbox } from '../../../../activities/tools/exec/sandbox.js';
import type { ToolContext } from '../../../../activities/tools/tool.js';
import { openWorkspace } from '../../../../activities/tools/workspace.js';

export const key = 'a1-1/s1.c1';
/** Nobody aborts. */
export const whole = new AbortController().signal;

export interface Place {
  dataDir: string;
  workspace: string;
}

const made: string[] = [];
afterAll(() => Promise.all(made.map((folder) => rm(folder, { recursive: true, force: true }))));

/** Removed when the file's tests are over. */
export async function newFolder(beside = tmpdir()): Promise<string> {
  const folder = await realpath(await mkdtemp(join(beside, 'durabot-exec-')));
  made.push(folder);
  return folder;
}

export async function newPlace(): Promise<Place> {
  const home = await newFolder();
  const place = { dataDir: join(home, 'data'), workspace: join(home, 'workspace') };
  await mkdir(place.dataDir);
  await mkdir(place.workspace);
  return place;
}

/** A command without a sandbox. */
export function order(
  { dataDir, workspace }: Place,
  command: string,
  change: Partial<CommandOrder> = {},
): CommandOrder {
  const marker = change.marker ?? randomUUID();
  return {
    command,
    program: {
      file: '/bin/sh',
      args: [join(execFolder(dataDir, key), 'command')],
      env: { PATH: '/usr/local/bin:/usr/bin:/bin', DURABOT_EXEC: marker },
      cwd: workspace,
    },
    marker,
    timeLimitMs: 60_000,
    limits: { ...defaultExecLimits, minFreeBytes: 0 },
    workspace,
    maxOutputChars: 10_000,
    ...change,
  };
}

/** Runs a command without a sandbox to its end. */
export async function runToEnd(place: Place, command: string, change: Partial<CommandOrder> = {}) {
  await startOrAttach(place.dataDir, key, order(place, command, change));
  const state = await followExec(place.dataDir, key, whole);
  if (state.kind !== 'exited') throw new Error(`The command is ${state.kind}`);
  return { exit: state.exit, ...texts(place) };
}

export function texts({ dataDir }: Place): { stdout: string; stderr: string } {
  const { stdout, stderr } = readOutput(dataDir, key);
  return { stdout: stdout.head.toString(), stderr: stderr.head.toString() };
}

export async function exitOf(place: Place): Promise<ExitRecord> {
  const state = await followExec(place.dataDir, key, whole);
  if (state.kind !== 'exited') throw new Error(`The command is ${state.kind}`);
  return state.exit;
}

/** The tool as a worker has it; `off` runs without a sandbox. */
export async function execTool(place: Place, options: Partial<ExecToolOptions> = {}) {
  const tool = createExecTool({ dataDir: place.dataDir, sandbox: async () => ({ kind: 'off' }), ...options });
  const workspace = await openWorkspace(place.workspace);
  const context: ToolContext = {
    turnId: 'a1-1',
    callId: 's1.c1',
    key,
    workspace,
    results: { find: async () => undefined },
    mayStart: true,
    signal: whole,
    remembered: undefined,
    remember: async () => {},
  };
  const run = (input: Record<string, unknown>, change: Partial<ToolContext> = {}) =>
    tool.run(tool.input.parse(input), { ...context, ...change });
  const end = () => tool.end?.(tool.input.parse({ command: 'true' }), context);
  return { tool, run, end };
}

export const probed = await probeSandbox();

/** Skips, and says why, where commands cannot be sandboxed. */
export function testInSandbox(name: string, body: () => Promise<void>): void {
  if (probed.kind === 'ready') test(name, body);
  else test.skip(`${name} (not run: ${probed.cause}; ${probed.cure})`, body);
}

export async function inSandbox(
  place: Place,
  command: string,
  options: Partial<ExecToolOptions> = {},
  input: Record<string, unknown> = {},
) {
  const { run } = await execTool(place, { sandbox: async () => probed, limits: { minFreeBytes: 0 }, ...options });
  const result = await run({ command, ...input });
  return { result, ...texts(place) };
}

export function markerOf(place: Place): Promise<string> {
  return readFile(join(execFolder(place.dataDir, key), 'supervisor.json'), 'utf8').then(
    (text) => JSON.parse(text).marker,
  );
}

export async function supervisorOf(place: Place): Promise<number> {
  return JSON.parse(await readFile(join(execFolder(place.dataDir, key), 'supervisor.json'), 'utf8')).pid;
}

/** Waits for the thing itself; the test's own time limit is the only clock. */
export async function until(met: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await met())) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** Processes that still carry the mark of the command. One that is being taken apart is given the time for it. */
export async function leftOf(marker: string): Promise<number[]> {
  const alive = () => carriersOf(marker).filter((pid) => startTimeOf(pid) !== undefined);
  for (let look = 0; look < 50 && alive().length > 0; look++) await new Promise((resolve) => setTimeout(resolve, 10));
  return alive();
}

export function isThere(path: string): Promise<boolean> {
  return readFile(path).then(
    () => true,
    () => false,
  );
}
