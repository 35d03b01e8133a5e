// Set-up in a small clone of its own. Its compiler is a stand-in that notes each run, so that the test sees what is skipped.
import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, test } from '@jest/globals';

const folder = mkdtempSync(join(tmpdir(), 'durabot-set-up-'));
afterAll(() => rmSync(folder, { recursive: true }));

let clone: string;

const compiler = `
  const { appendFileSync, existsSync, mkdirSync, writeFileSync } = require('node:fs');
  appendFileSync('compiled', 'x');
  if (existsSync('store/broken.ts')) { console.log("store/broken.ts(1,1): error TS1005: ';' expected."); process.exit(2); }
  mkdirSync('dist/store', { recursive: true });
  writeFileSync('dist/store/rows.js', '');
  setTimeout(() => undefined, 300);`;

beforeEach(() => {
  clone = mkdtempSync(join(folder, 'clone-'));
  for (const name of ['set-up.mjs', 'lock.mjs', 'processes.mjs']) {
    cpSync(join('workers/local-stack', name), join(clone, 'workers/local-stack', name));
  }
  const files: Record<string, string> = {
    'package.json': '{}',
    'package-lock.json': '{}',
    'tsconfig.json': '{}',
    'tsconfig.build.json': '{}',
    'store/rows.ts': '',
    'store/migrations/001_first.sql': 'select 1',
    'node_modules/typescript/bin/tsc': compiler,
    'node_modules/.package-lock.json': '{}', // written last: the packages are newer than the lockfile
  };
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(clone, path, '..'), { recursive: true });
    writeFileSync(join(clone, path), text);
  }
});

function setUp(): Promise<{ code: number; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [join(clone, 'workers/local-stack/set-up.mjs')], (error, _stdout, stderr) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stderr }),
    );
  });
}

const compilations = () =>
  existsSync(join(clone, 'compiled')) ? readFileSync(join(clone, 'compiled'), 'utf8').length : 0;

test('a second start builds nothing, an edit builds again', async () => {
  expect(await setUp()).toMatchObject({ code: 0 });
  expect(readFileSync(join(clone, 'dist/store/migrations/001_first.sql'), 'utf8')).toBe('select 1');
  await setUp();
  expect(compilations()).toBe(1);
  writeFileSync(join(clone, 'store/rows.ts'), 'edited');
  await setUp();
  expect(compilations()).toBe(2);
});

test('a migration that was deleted leaves dist as well', async () => {
  await setUp();
  rmSync(join(clone, 'store/migrations/001_first.sql'));
  await setUp();
  expect(existsSync(join(clone, 'dist/store/migrations/001_first.sql'))).toBe(false);
});

test('two starts at once build once', async () => {
  const both = await Promise.all([setUp(), setUp()]);
  expect(both.map(({ code }) => code)).toEqual([0, 0]);
  expect(compilations()).toBe(1);
});

test('sources that do not compile stop the start, and are tried again at the next one', async () => {
  writeFileSync(join(clone, 'store/broken.ts'), '');
  expect(await setUp()).toEqual({
    code: 1,
    stderr: "The sources do not compile:\nstore/broken.ts(1,1): error TS1005: ';' expected.\n",
  });
  rmSync(join(clone, 'store/broken.ts'));
  expect(await setUp()).toMatchObject({ code: 0 });
});

test('a lock of a set-up that was killed holds nobody up', async () => {
  writeFileSync(join(clone, '.set-up.lock'), JSON.stringify({ pid: process.pid, startedAt: 'long ago' }));
  expect(await setUp()).toMatchObject({ code: 0 });
});

test('an installed package, which has no lockfile, is left as it is', async () => {
  rmSync(join(clone, 'package-lock.json'));
  expect(await setUp()).toEqual({ code: 0, stderr: '' });
  expect(compilations()).toBe(0);
});
