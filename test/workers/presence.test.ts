import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { identityOf, isAlive } from '../../workers/local-stack/processes.mjs';
import { announceProcess, findProcesses, stopProcess } from '../../workers/presence.js';

const folder = mkdtempSync(join(tmpdir(), 'durabot-presence-'));
afterAll(() => rmSync(folder, { recursive: true }));
const newHome = () => mkdtempSync(join(folder, 'home-'));

test('a process is found while it runs, and not after it said goodbye', async () => {
  const home = newHome();
  const withdraw = await announceProcess(home, { command: 'serve', works: true });
  expect(await findProcesses(home)).toMatchObject([{ command: 'serve', works: true, pid: process.pid }]);
  await withdraw();
  expect(await findProcesses(home)).toEqual([]);
});

test('a killed process is seen through, also when its pid was given to another program', async () => {
  const home = newHome();
  await announceProcess(home, { command: 'serve', works: true });
  const path = join(home, 'run', 'processes', `${process.pid}.json`);
  const since = new Date().toISOString();
  writeFileSync(
    path,
    JSON.stringify({ command: 'serve', works: true, pid: process.pid, startedAt: 'long ago', since }),
  );
  expect(await findProcesses(home)).toEqual([]);
  expect(readdirSync(join(home, 'run', 'processes'))).toEqual([]);
});

test('a process that does not listen is ended after its grace', async () => {
  const child = spawn(process.execPath, [
    '-e',
    "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); console.log('up')",
  ]);
  await new Promise((resolve) => child.stdout.once('data', resolve));
  const pid = child.pid ?? 0;
  const presence = { command: 'serve', works: true, since: '', ...(await identityOf(pid)) };
  expect(await stopProcess(presence, 100)).toBe(true);
  expect(await isAlive(pid)).toBe(false);
});
