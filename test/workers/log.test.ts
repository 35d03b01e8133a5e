import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { type Log, logPath, openLog } from '../../workers/log.js';
import { followLines, lastLines } from '../../workers/log-reader.js';
import { createRedactor } from '../../workers/redact.js';

function openTestLog(home: string, rotateAtBytes?: number) {
  return openLog({
    home,
    level: 'info',
    redact: createRedactor(['the-database-password']),
    process: 'test',
    rotateAtBytes,
  });
}

const folder = mkdtempSync(join(tmpdir(), 'durabot-log-'));
afterAll(() => rmSync(folder, { recursive: true }));
const newHome = () => mkdtempSync(join(folder, 'home-'));

test('a line is JSON in a file that only its owner may read', () => {
  const home = newHome();
  openTestLog(home).log.info({ turn: '1-2' }, 'Turn closed');
  expect(JSON.parse(readFileSync(logPath(home), 'utf8'))).toMatchObject({
    msg: 'Turn closed',
    turn: '1-2',
    process: 'test',
  });
  expect(statSync(logPath(home)).mode & 0o777).toBe(0o600);
});

test('no secret gets into the file, however deep it is, and the line stays JSON', () => {
  const home = newHome();
  const { log } = openTestLog(home);
  const key = '-----BEGIN PRIVATE KEY-----\nMIIFAKE';
  log.error(
    { err: new Error('cannot reach postgres://a:the-database-password@db'), deep: [{ key }] },
    'Bearer abcdefghijklmnop',
  );
  const text = readFileSync(logPath(home), 'utf8');
  expect(text).not.toMatch(/the-database-password|MIIFAKE|abcdefghijklmnop/);
  expect(() => JSON.parse(text)).not.toThrow();
});

test('a level below the wanted one is not written', () => {
  const home = newHome();
  openTestLog(home).log.debug('detail');
  expect(readFileSync(logPath(home), 'utf8')).toBe('');
});

test('a full file is put aside, five are kept, and two writers go on in the same new one', () => {
  const home = newHome();
  const [one, two] = [openTestLog(home, 1000), openTestLog(home, 1000)];
  for (let index = 0; index < 60; index++) (index % 2 ? one : two).log.info({ index, fill: 'x'.repeat(80) }, 'line');
  expect(readdirSync(join(home, 'logs')).sort()).toEqual(
    ['', '.1', '.2', '.3', '.4'].map((end) => `durabot.log${end}`),
  );
  const kept = ['.4', '.3', '.2', '.1', ''].flatMap((end) =>
    readFileSync(logPath(home) + end, 'utf8')
      .trim()
      .split('\n'),
  );
  const indexes = kept.map((line) => Number(JSON.parse(line).index));
  expect(indexes).toEqual(Array.from({ length: indexes.length }, (_, offset) => 60 - indexes.length + offset));
});

test('the last lines are found in a long file', async () => {
  const home = newHome();
  const { log } = openTestLog(home);
  for (let index = 0; index < 3000; index++) log.info({ index }, 'línea');
  const lines = await lastLines(logPath(home), 2);
  expect(lines?.map((line) => JSON.parse(line).index)).toEqual([2998, 2999]);
  expect(await lastLines(join(home, 'none'), 2)).toBeUndefined();
});

test('a follower sees every line across rotations', async () => {
  const home = newHome();
  const { log } = openTestLog(home, 2000);
  log.info('before');
  const stop = new AbortController();
  const seen: number[] = [];
  const following = followLines(logPath(home), (line) => seen.push(JSON.parse(line).index), stop.signal);
  while (!seen.includes(-1)) await lineWritten(log, -1); // it looks at the end of the file only once it has opened it
  for (let index = 0; index < 30; index++) {
    await lineWritten(log, index);
    // A file may be put aside once between two looks: wait for it after every few.
    while (index % 5 === 4 && !seen.includes(index)) await new Promise((resolve) => setTimeout(resolve, 10));
  }
  stop.abort();
  await following;
  expect(readdirSync(join(home, 'logs')).length).toBeGreaterThan(2);
  expect(seen.filter((index) => index >= 0)).toEqual(Array.from({ length: 30 }, (_, index) => index));
});

async function lineWritten(log: Log, index: number): Promise<void> {
  log.info({ index, fill: 'x'.repeat(100) }, 'line');
  if (index < 0) await new Promise((resolve) => setTimeout(resolve, 20));
}
