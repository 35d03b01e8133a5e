// What is decided about the two servers, from facts alone.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import {
  decideFailedStart,
  decidePostgres,
  type PostgresFacts,
  parsePidFile,
} from '../../workers/local-stack/postgres-decide.js';
import { isNewEnough, parseVersions } from '../../workers/local-stack/temporal-binary.js';
import { decideDatabase, isOurTemporal } from '../../workers/local-stack/temporal-decide.js';
import { installArchive } from '../../workers/local-stack/temporal-download.js';

const cluster = '/home/me/.durabot/data/postgres/data';
const server = `/opt/native/bin/postgres -D ${cluster} -p 5432`;
const pidFile = { pid: 41, port: 5432, socketFolder: '/run/x', alive: true, commandLine: server };
const healthy: PostgresFacts = {
  cluster,
  clusterMajor: '18',
  programsMajor: '18',
  draft: false,
  hasPassword: true,
  pidFile: undefined,
};

test.each<[string, Partial<PostgresFacts>, object]>([
  ['a stopped cluster is started', {}, { kind: 'start', removePidFile: false }],
  ['a running server on our folder is adopted', { pidFile }, { kind: 'adopt' }],
  [
    'the server of another home that has our old pid is not ours',
    { pidFile: { ...pidFile, commandLine: 'postgres -D /other' } },
    { kind: 'start', removePidFile: true },
  ],
  [
    'another program that has our old pid is not ours',
    { pidFile: { ...pidFile, commandLine: `vim -D ${cluster}` } },
    { kind: 'start', removePidFile: true },
  ],
  [
    'a pid file of a dead server is left to the next one',
    { pidFile: { ...pidFile, alive: false, commandLine: undefined } },
    { kind: 'start', removePidFile: false },
  ],
  [
    'no cluster: one is made',
    { clusterMajor: undefined, hasPassword: false },
    { kind: 'initialise', removeDraft: false },
  ],
  [
    'a half-made cluster is made anew',
    { clusterMajor: undefined, draft: true },
    { kind: 'initialise', removeDraft: true },
  ],
  [
    'a cluster whose home was deleted is kept aside',
    { hasPassword: false },
    { kind: 'keep aside', stopFirst: undefined },
  ],
  [
    'a server whose home was deleted is stopped first',
    { hasPassword: false, pidFile },
    { kind: 'keep aside', stopFirst: 41 },
  ],
  ['another major version is refused', { clusterMajor: '17' }, { kind: 'refuse' }],
])('%s', (_claim, facts, decision) => {
  expect(decidePostgres({ ...healthy, ...facts })).toMatchObject(decision);
});

test('a pid file gives pid, port and socket folder', () => {
  expect(parsePidFile(`41\n${cluster}\n1764000000\n5433\n/run/x\n\n  1 2\nready\n`)).toEqual({
    pid: 41,
    port: 5433,
    socketFolder: '/run/x',
  });
  expect(parsePidFile('')).toBeUndefined();
});

test.each([
  ['FATAL:  pre-existing shared memory block (key 1, ID 2) is still in use', 'old back ends still live'],
  ['LOG:  could not bind IPv4 address "127.0.0.1": Address already in use', 'port taken'],
  ['FATAL:  lock file "postmaster.pid" already exists', 'running already'],
  ['FATAL:  could not open file "x"', 'broken'],
])('%s', (log, cause) => {
  expect(decideFailedStart(log)).toBe(cause);
});

const record = { pid: 42, startedAt: '1', port: 1, uiPort: 2 };
const database = '/home/me/.durabot/data/temporal/temporal.db';
const temporal = {
  record,
  sameProcess: true,
  commandLine: `temporal server start-dev --db-filename ${database} --port 1`,
  database,
};

test('a Temporal is ours by process and file, not by its port', () => {
  expect(isOurTemporal(temporal)).toBe(true);
  expect(isOurTemporal({ ...temporal, sameProcess: false })).toBe(false);
  expect(
    isOurTemporal({ ...temporal, commandLine: 'temporal server start-dev --db-filename /other.db --port 1' }),
  ).toBe(false);
  expect(isOurTemporal({ ...temporal, record: undefined })).toBe(false);
});

test('a Temporal database belongs to the server version that made it', () => {
  expect(decideDatabase({ exists: true, madeBy: '1.31.2', serverVersion: '1.31.2' })).toBe('use');
  expect(decideDatabase({ exists: true, madeBy: '1.29.1', serverVersion: '1.31.2' })).toBe('keep aside');
  expect(decideDatabase({ exists: true, madeBy: undefined, serverVersion: '1.31.2' })).toBe('keep aside');
  expect(decideDatabase({ exists: false, madeBy: '1.29.1', serverVersion: '1.31.2' })).toBe('use');
});

test.each([
  ['temporal version 1.8.2 (Server 1.31.2, UI 2.50.1)', true],
  ['temporal version 1.10.0 (Server 1.33.0, UI 2.60.0)', true],
  ['temporal version 2.0.0 (Server 2.0.0, UI 3.0.0)', true],
  ['temporal version 0.0.0-DEV (Server 1.31.2, UI 2.50.1)', true],
  ['temporal version 1.7.0 (Server 1.30.0, UI 2.49.0)', false],
  ['temporal version 0.13.2 (Server 1.24.2, UI 2.28.0)', false],
  ['temporal version 0.0.0-DEV (Server 1.29.1, UI 2.40.0)', false],
])('%s is new enough: %s', (text, enough) => {
  const versions = parseVersions(text);
  expect(versions && isNewEnough(versions)).toBe(enough);
});

test('an archive with the right checksum is unpacked, one with a wrong one leaves nothing', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'durabot-archive-'));
  try {
    await writeFile(join(folder, 'temporal'), '#!/bin/sh\necho "temporal version 1.8.2 (Server 1.31.2, UI 2.50.1)"\n');
    await promisify(execFile)('tar', ['-czf', 'a.tar.gz', 'temporal'], { cwd: folder });
    const bytes = await readFile(join(folder, 'a.tar.gz'));
    const path = join(folder, 'cached');
    await expect(installArchive({ bytes, sha256: '0'.repeat(64), path })).rejects.toThrow(/wrong checksum/);
    expect(await readdir(folder)).toHaveLength(2);
    await installArchive({ bytes, sha256: createHash('sha256').update(bytes).digest('hex'), path });
    const { stdout } = await promisify(execFile)(path, ['--version']);
    expect(parseVersions(stdout)).toEqual({ cliVersion: '1.8.2', serverVersion: '1.31.2' });
    expect(await readdir(folder)).toHaveLength(3);
  } finally {
    await rm(folder, { recursive: true });
  }
});
