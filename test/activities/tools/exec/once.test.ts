// A command runs once, however many want it, and whoever asks for it dies, comes late or comes back after a reboot.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { endExec, endOrEntomb, followExec, startOrAttach } from '../../../../activities/tools/exec/attach.js';
import {
  execFolder,
  execRoot,
  hostId,
  listExecs,
  lookAtExec,
  makeTombstone,
  removeExec,
  removeStrays,
} from '../../../../activities/tools/exec/folder.js';
import type { Job } from '../../../../activities/tools/exec/job.js';
import { carriersOf } from '../../../../activities/tools/exec/processes.mjs';
import {
  exitOf,
  isThere,
  key,
  leftOf,
  newPlace,
  order,
  type Place,
  supervisorOf,
  texts,
  until,
  whole,
} from './commands.js';

const supervisorPath = join(import.meta.dirname, '../../../../activities/tools/exec/supervisor.mjs');
const counted = 'echo ran >> runs; until [ -e go ]; do sleep 0.01; done; echo ended';

function jobOf(place: Place, command: string): Job {
  return { ...order(place, command), folder: execFolder(place.dataDir, key) };
}

async function runsOf({ workspace }: Place): Promise<string> {
  return readFile(join(workspace, 'runs'), 'utf8').catch(() => '');
}

/** A command whose supervisor is known by something that is not true of it, as after a reboot. It is ended after the test. */
async function startAs(place: Place, change: Record<string, unknown>): Promise<void> {
  await startOrAttach(place.dataDir, key, order(place, 'sleep 60'));
  const path = join(execFolder(place.dataDir, key), 'supervisor.json');
  const supervisor = JSON.parse(await readFile(path, 'utf8'));
  running.push(supervisor.pid);
  await writeFile(path, JSON.stringify({ ...supervisor, ...change }));
}

const running: number[] = [];
afterEach(() => {
  for (const pid of running.splice(0)) process.kill(pid, 'SIGTERM');
});

test('twenty starts at once run the command once', async () => {
  const place = await newPlace();
  await Promise.all(Array.from({ length: 20 }, () => startOrAttach(place.dataDir, key, order(place, counted))));
  await writeFile(join(place.workspace, 'go'), '');
  expect(await exitOf(place)).toMatchObject({ ended: 'by itself', exitCode: 0 });
  expect(await runsOf(place)).toBe('ran\n');
  expect(await readdir(join(place.dataDir, 'exec'))).toEqual(['a1-1.s1.c1']);
});

test('a command survives the death of its worker, and another follows it to its end', async () => {
  const place = await newPlace();
  await execRoot(place.dataDir);
  // The worker: it starts the supervisor as we do, says so, and is killed.
  const worker = spawn(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `import { spawn } from 'node:child_process';
       const supervisor = spawn(process.execPath, [${JSON.stringify(supervisorPath)}], { detached: true, stdio: ['pipe', 'pipe', 'pipe'], env: {} });
       supervisor.stdin.end(${JSON.stringify(JSON.stringify(jobOf(place, counted)))});
       supervisor.stdout.once('data', () => console.log('started'));
       setInterval(() => {}, 1000);`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  await once(worker.stdout, 'data');
  worker.kill('SIGKILL');
  await once(worker, 'exit');
  await startOrAttach(place.dataDir, key, order(place, 'echo ran >> runs'));
  expect((await lookAtExec(place.dataDir, key)).kind).toBe('running');
  await writeFile(join(place.workspace, 'go'), '');
  expect(await exitOf(place)).toMatchObject({ ended: 'by itself', exitCode: 0 });
  expect([await runsOf(place), texts(place).stdout]).toEqual(['ran\n', 'ended\n']);
});

test('a supervisor whose worker died while it was told its job makes nothing', async () => {
  const place = await newPlace();
  const supervisor = spawn(process.execPath, [supervisorPath], { stdio: ['pipe', 'ignore', 'ignore'], env: {} });
  supervisor.stdin.end(JSON.stringify(jobOf(place, 'echo ran >> runs')).slice(0, -1));
  await once(supervisor, 'exit');
  expect(await lookAtExec(place.dataDir, key)).toEqual({ kind: 'no folder' });
  expect(await runsOf(place)).toBe('');
});

test('a tombstone keeps a late supervisor from running the command', async () => {
  const place = await newPlace();
  expect(await makeTombstone(place.dataDir, key)).toBe(true);
  await execRoot(place.dataDir);
  const late = spawn(process.execPath, [supervisorPath], { stdio: ['pipe', 'ignore', 'inherit'], env: {} });
  late.stdin.end(JSON.stringify(jobOf(place, 'echo ran >> runs')));
  await once(late, 'exit');
  expect(await lookAtExec(place.dataDir, key)).toEqual({ kind: 'never' });
  expect(await runsOf(place)).toBe('');
});

test('a tombstone comes too late for a command that has begun', async () => {
  const place = await newPlace();
  await startOrAttach(place.dataDir, key, order(place, counted));
  expect(await makeTombstone(place.dataDir, key)).toBe(false);
  expect((await lookAtExec(place.dataDir, key)).kind).toBe('running');
  expect(await endOrEntomb(place.dataDir, key)).toMatchObject({ kind: 'exited', exit: { ended: 'stopped' } });
});

test('twenty starts and one tombstone at once agree on what happened', async () => {
  const place = await newPlace();
  const starts = Array.from({ length: 5 }, () => startOrAttach(place.dataDir, key, order(place, 'echo ran >> runs')));
  const buried = await makeTombstone(place.dataDir, key);
  await Promise.all(starts);
  const { kind } = await followExec(place.dataDir, key, whole);
  expect([kind, await runsOf(place)]).toEqual(buried ? ['never', ''] : ['exited', 'ran\n']);
});

test('after a reboot a command without exit file is lost', async () => {
  const place = await newPlace();
  await startAs(place, { bootId: 'another boot' });
  expect((await followExec(place.dataDir, key, whole)).kind).toBe('lost');
});

test('another process with the pid of a supervisor is not taken for it', async () => {
  const place = await newPlace();
  await startAs(place, { startTime: '1' });
  expect((await followExec(place.dataDir, key, whole)).kind).toBe('lost');
});

test('a supervisor that was killed leaves a lost command, and a stop tidies up', async () => {
  const place = await newPlace();
  await startOrAttach(place.dataDir, key, order(place, 'echo begun; setsid sleep 60 & sleep 60', { marker: 'orphan' }));
  await until(() => texts(place).stdout === 'begun\n');
  process.kill(await supervisorOf(place), 'SIGKILL');
  expect((await followExec(place.dataDir, key, whole)).kind).toBe('lost');
  expect(carriersOf('orphan').length).toBeGreaterThan(0); // no sandbox here that would have taken them along
  expect((await endExec(place.dataDir, key)).kind).toBe('lost');
  expect(await leftOf('orphan')).toEqual([]);
});

test('an empty folder, as a power cut may leave it, is no licence to run again', async () => {
  const place = await newPlace();
  await mkdir(execFolder(place.dataDir, key), { recursive: true });
  expect((await lookAtExec(place.dataDir, key)).kind).toBe('lost');
});

test('an exit file without its content counts as none', async () => {
  const place = await newPlace();
  await startAs(place, { bootId: 'another boot' });
  await writeFile(join(execFolder(place.dataDir, key), 'exit.json'), '');
  expect((await lookAtExec(place.dataDir, key)).kind).toBe('lost');
});

test('only calls name folders', () => {
  for (const bad of ['a1-1', 'a1-1/../x', '../s1.c1/s1.c1', 'a/b/s1.c1', '.hidden/s1.c1', 'a\0b/s1.c1']) {
    expect(() => execFolder('/data', bad)).toThrow('Not the key of a call');
  }
});

test('a host has one name, also when many ask for the first time', async () => {
  const { dataDir } = await newPlace();
  const names = await Promise.all(Array.from({ length: 20 }, () => hostId(dataDir)));
  expect(new Set(names).size).toBe(1);
  expect(names[0]).toMatch(/^[0-9a-f]{24}$/);
  expect(await hostId((await newPlace()).dataDir)).not.toBe(names[0]);
});

test('calls are listed with their state, and forgotten once they have ended', async () => {
  const place = await newPlace();
  await makeTombstone(place.dataDir, 'a1-1/s2.c3');
  await startOrAttach(place.dataDir, key, order(place, counted));
  expect((await listExecs(place.dataDir)).map((call) => [call.key, call.state.kind]).sort()).toEqual([
    ['a1-1/s1.c1', 'running'],
    ['a1-1/s2.c3', 'never'],
  ]);
  expect(await removeExec(place.dataDir, key)).toBe(false);
  await endExec(place.dataDir, key);
  expect(await removeExec(place.dataDir, key)).toBe(true);
  expect((await listExecs(place.dataDir)).map((call) => call.key)).toEqual(['a1-1/s2.c3']);
});

test('half-made folders are removed when they are old', async () => {
  const { dataDir } = await newPlace();
  const root = await execRoot(dataDir);
  await mkdir(join(root, '.new-old'));
  await mkdir(join(root, '.new-young'));
  await utimes(join(root, '.new-old'), 0, 0);
  await removeStrays(dataDir);
  expect(await readdir(root)).toEqual(['.new-young']);
  expect(await isThere(join(root, '.new-old'))).toBe(false);
});
