// One command, its supervisor and its folder, without a sandbox.
import { readFile, stat, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { endExec, followExec, startOrAttach } from '../../../../activities/tools/exec/attach.js';
import { defaultExecLimits } from '../../../../activities/tools/exec/exec.js';
import { execFolder, lookAtExec } from '../../../../activities/tools/exec/folder.js';
import { readOutput } from '../../../../activities/tools/exec/result.js';
import {
  exitOf,
  isThere,
  key,
  leftOf,
  newFolder,
  newPlace,
  order,
  runToEnd,
  supervisorOf,
  texts,
  until,
} from './commands.js';

test('a command leaves exit code, stdout and stderr apart', async () => {
  const { exit, stdout, stderr } = await runToEnd(await newPlace(), 'echo out; echo err > /dev/stderr; exit 7');
  expect(exit).toMatchObject({ ended: 'by itself', exitCode: 7, signal: null, stdoutBytes: 4, stderrBytes: 4 });
  expect([stdout, stderr]).toEqual(['out\n', 'err\n']);
});

test('a command reads nothing from standard input', async () => {
  const { stdout } = await runToEnd(await newPlace(), 'wc -c');
  expect(stdout.trim()).toBe('0');
});

test('a signal that ends the command is reported', async () => {
  const { exit } = await runToEnd(await newPlace(), 'kill -9 $$');
  expect(exit).toMatchObject({ ended: 'by itself', exitCode: null, signal: 'SIGKILL' });
});

test('a program that is not there did not start', async () => {
  const place = await newPlace();
  const { program } = order(place, 'true');
  const { exit } = await runToEnd(place, 'true', { program: { ...program, file: '/nowhere/sh' } });
  expect(exit).toMatchObject({ ended: 'not started', cause: expect.stringContaining('ENOENT') });
});

test('the secrets of the worker do not reach the command', async () => {
  process.env.DURABOT_TEST_CANARY = 'canary';
  const { stdout } = await runToEnd(await newPlace(), 'env; tr "\\0" "\\n" < /proc/$PPID/environ');
  delete process.env.DURABOT_TEST_CANARY;
  expect(stdout).toContain('DURABOT_EXEC=');
  expect(stdout).not.toContain('canary');
});

test('neither text nor folder of a command stands on a command line of ours', async () => {
  const place = await newPlace();
  await startOrAttach(place.dataDir, key, order(place, ': very-secret; sleep 60'));
  const supervisor = (await readFile(`/proc/${await supervisorOf(place)}/cmdline`, 'utf8')).split('\0');
  await endExec(place.dataDir, key);
  expect(supervisor.join(' ')).toMatch(/supervisor\.mjs $/);
});

test('ten megabytes keep their head and their tail in a bounded file', async () => {
  const place = await newPlace();
  const { exit } = await runToEnd(place, 'echo first; head -c 10000000 /dev/zero | tr "\\0" x; echo; echo last');
  const { stdout } = readOutput(place.dataDir, key);
  expect(exit.stdoutBytes).toBe(10_000_012);
  expect(stdout.head.toString()).toMatch(/^first\nxxx/);
  expect(stdout.tail.toString()).toMatch(/xxx\nlast\n$/);
  expect((await stat(join(execFolder(place.dataDir, key), 'output', 'stdout'))).size).toBeLessThan(300_000);
});

test('output can be read while the command runs', async () => {
  const place = await newPlace();
  await startOrAttach(place.dataDir, key, order(place, 'echo early; sleep 60'));
  await until(() => texts(place).stdout === 'early\n');
  expect((await lookAtExec(place.dataDir, key)).kind).toBe('running');
  await endExec(place.dataDir, key);
});

test('time over ends the whole tree, whatever it does about it', async () => {
  const place = await newPlace();
  const tree =
    'trap "" TERM; setsid sleep 61 & (sleep 62 &) ; nohup sleep 63 & (setsid sh -c "trap \\"\\" TERM; sleep 64" &); sleep 65';
  const { exit } = await runToEnd(place, `echo begun; ${tree}`, { timeLimitMs: 500, marker: 'time-over' });
  expect(exit).toMatchObject({ ended: 'time over', timeLimitMs: 500 });
  expect(texts(place).stdout).toBe('begun\n');
  expect(await leftOf('time-over')).toEqual([]);
});

test('a command that takes the hint may tidy up before it ends', async () => {
  const place = await newPlace();
  await runToEnd(place, 'trap "echo tidied; exit 0" TERM; echo begun; while :; do sleep 0.05; done', {
    timeLimitMs: 300,
  });
  expect(texts(place).stdout).toBe('begun\ntidied\n');
});

test('what a command leaves running in the background ends with it', async () => {
  const { exit } = await runToEnd(await newPlace(), 'setsid sleep 60 & echo done', { marker: 'background' });
  expect(exit).toMatchObject({ ended: 'by itself', exitCode: 0 });
  expect(await leftOf('background')).toEqual([]);
});

test('a stop ends the command, says so and keeps the output', async () => {
  const place = await newPlace();
  await startOrAttach(
    place.dataDir,
    key,
    order(place, 'echo begun; setsid sleep 60 & sleep 60', { marker: 'stopped' }),
  );
  await until(() => texts(place).stdout === 'begun\n');
  expect(await endExec(place.dataDir, key)).toMatchObject({ kind: 'exited', exit: { ended: 'stopped' } });
  expect([texts(place).stdout, await leftOf('stopped')]).toEqual(['begun\n', []]);
});

test('a stop ends what ignores it', async () => {
  const place = await newPlace();
  const stubborn = 'trap "" TERM; echo begun; setsid sleep 60 & sleep 60';
  await startOrAttach(place.dataDir, key, order(place, stubborn, { marker: 'stubborn' }));
  await until(() => texts(place).stdout === 'begun\n');
  // On a machine that is too busy for its supervisor that is ended, too.
  expect(['exited', 'lost']).toContain((await endExec(place.dataDir, key)).kind);
  expect(await leftOf('stubborn')).toEqual([]);
});

test('a frozen supervisor is killed by a stop, and nothing of its command is left', async () => {
  const place = await newPlace();
  await startOrAttach(place.dataDir, key, order(place, 'echo begun; setsid sleep 60 & sleep 60', { marker: 'frozen' }));
  await until(() => texts(place).stdout === 'begun\n');
  process.kill(await supervisorOf(place), 'SIGSTOP');
  expect((await endExec(place.dataDir, key)).kind).toBe('lost');
  expect(await leftOf('frozen')).toEqual([]);
});

test('a stop of a command that has ended changes nothing', async () => {
  const place = await newPlace();
  await runToEnd(place, 'exit 3');
  expect(await endExec(place.dataDir, key)).toMatchObject({
    kind: 'exited',
    exit: { ended: 'by itself', exitCode: 3 },
  });
});

test('a follower that gives up leaves the command alone', async () => {
  const place = await newPlace();
  await startOrAttach(place.dataDir, key, order(place, 'until [ -e go ]; do sleep 0.01; done; echo went'));
  const gaveUp = new AbortController();
  const following = followExec(place.dataDir, key, gaveUp.signal);
  gaveUp.abort(new Error('given up'));
  await expect(following).rejects.toThrow('given up');
  await writeFile(join(place.workspace, 'go'), '');
  expect(await exitOf(place)).toMatchObject({ ended: 'by itself', exitCode: 0 });
  expect(texts(place).stdout).toBe('went\n');
});

test('the text of the command is gone when it has ended', async () => {
  const place = await newPlace();
  await runToEnd(place, 'true');
  expect(await isThere(join(execFolder(place.dataDir, key), 'command'))).toBe(false);
});

test('a command that uses too much memory ends alone', async () => {
  const hungry =
    'perl -e \'my @kept; for (1..100) { push @kept, "x" x 20_000_000; select undef, undef, undef, 0.02 } sleep 60\'';
  const limits = { ...defaultExecLimits, memoryBytes: 200_000_000, minFreeBytes: 0 };
  const { exit } = await runToEnd(await newPlace(), hungry, { limits, marker: 'hungry' });
  expect(exit.ended).toBe('over memory');
  expect(await leftOf('hungry')).toEqual([]);
});

test('memory that processes share counts once', async () => {
  // Eight forks of a process of 100 MB: a sum of their sizes is far above the limit, what they use is not.
  const sharing = 'perl -e \'my $kept = "x" x 100_000_000; for (1..8) { fork or do { sleep 1; exit } } wait for 1..8\'';
  const limits = { ...defaultExecLimits, memoryBytes: 400_000_000, minFreeBytes: 0 };
  expect((await runToEnd(await newPlace(), sharing, { limits })).exit).toMatchObject({
    ended: 'by itself',
    exitCode: 0,
  });
});

test('a fork bomb ends alone', async () => {
  const limits = { ...defaultExecLimits, processes: 50, minFreeBytes: 0 };
  // It would stop at 4,096 if we did not.
  const bomb = 'bomb() { [ $1 -gt 0 ] || exec sleep 60; bomb $(($1 - 1)) & bomb $(($1 - 1)) & }; bomb 12; sleep 60';
  const { exit } = await runToEnd(await newPlace(), bomb, { limits, marker: 'bomb' });
  expect(exit.ended).toBe('too many processes');
  expect(await leftOf('bomb')).toEqual([]);
});

test('a command that fills the disk ends before it is full', async () => {
  const place = await newPlace();
  const workspace = await newFolder('/dev/shm'); // a disk that nobody else fills or empties meanwhile
  const { bavail, bsize } = await statfs(workspace);
  const limits = { ...defaultExecLimits, minFreeBytes: bavail * bsize - 100e6 };
  const fills = `head -c 300000000 /dev/zero > ${workspace}/big; sleep 60`;
  const { exit } = await runToEnd(place, fills, { limits, workspace });
  expect(exit.ended).toBe('disk almost full');
});
