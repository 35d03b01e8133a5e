// The life of the two servers in homes of their own: real processes, started, killed, adopted and stopped.
import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import {
  chown,
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { Connection } from '@temporalio/client';
import pg from 'pg';
import { rememberedPorts } from '../../workers/local-stack/ports.js';
import { openPostgres, stopPostgres } from '../../workers/local-stack/postgres.js';
import { findPostgresUser } from '../../workers/local-stack/postgres-binaries.js';
import { placeOf } from '../../workers/local-stack/postgres-place.js';
import { isAlive } from '../../workers/local-stack/processes.mjs';
import { findLocalStack, openLocalStack, stopLocalStack } from '../../workers/local-stack/stack.js';
import type { StackSettings } from '../../workers/local-stack/stack-settings.js';
import { openTemporal, stopTemporal } from '../../workers/local-stack/temporal.js';

const homes: StackSettings[] = [];
const folders: string[] = [];

afterAll(async () => {
  for (const settings of homes) {
    await stopLocalStack(settings);
    await rm((await placeOf(settings, await findPostgresUser())).area, { recursive: true, force: true });
  }
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
}, 120_000);

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(await realpath(tmpdir()), 'durabot-stack-'));
  folders.push(folder);
  return folder;
}

/** A home of its own, made as `openLocalStack` makes it. */
async function newHome(name = 'home'): Promise<StackSettings> {
  const folder = await newFolder();
  const cli = process.env.DURABOT_TEST_TEMPORAL_CLI;
  if (!cli) throw new Error('DURABOT_TEST_TEMPORAL_CLI is not set: run "npm test -- local-stack".');
  await mkdir(join(folder, 'bin'));
  await symlink(cli, join(folder, 'bin', 'temporal'));
  const home = join(folder, name);
  for (const part of ['data', 'logs', 'run']) await mkdir(join(home, part), { recursive: true, mode: 0o700 });
  const settings = {
    home,
    temporalNamespace: 'default',
    searchPath: join(folder, 'bin'),
    cacheFolder: join(folder, 'cache'),
  };
  homes.push(settings);
  return settings;
}

function recorder(): { said: string[]; say(line: string): void } {
  const said: string[] = [];
  return { said, say: (line) => void said.push(line) };
}

const open = (settings: StackSettings, say = recorder().say) => openLocalStack({ settings, say, withoutSync: true });
const openDatabase = (settings: StackSettings, say = recorder().say) =>
  openPostgres({ settings, say, withoutSync: true });

async function query(databaseUrl: string, text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: databaseUrl });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

async function namespaceId(address: string): Promise<string> {
  const connection = await Connection.connect({ address });
  try {
    const { namespaceInfo } = await connection.workflowService.describeNamespace({ namespace: 'default' });
    return namespaceInfo?.id ?? '';
  } finally {
    await connection.close();
  }
}

interface Elsewhere {
  temporal: string;
  postgres: string;
  pids: number[];
}

/** The built program in another process, as another start of durabot would be. */
async function inAnotherProcess(
  settings: StackSettings,
  user: { uid?: number; gid?: number } = {},
): Promise<Elsewhere> {
  const source = `
    import { openLocalStack, findLocalStack } from '${process.cwd()}/dist/workers/local-stack/stack.js';
    const settings = ${JSON.stringify(settings)};
    const { origins } = await openLocalStack({ settings, say: (line) => console.error(line), withoutSync: true });
    const { temporal, postgres } = await findLocalStack(settings);
    console.log(JSON.stringify({ ...origins, pids: [temporal.pid, postgres.pid] }));`;
  return JSON.parse(await runScript(source, settings, user));
}

async function stopInAnotherProcess(settings: StackSettings, user: { uid: number; gid: number }): Promise<void> {
  const source = `
    import { stopLocalStack } from '${process.cwd()}/dist/workers/local-stack/stack.js';
    await stopLocalStack(${JSON.stringify(settings)});`;
  await runScript(source, settings, user);
}

function runScript(source: string, { home }: StackSettings, user: { uid?: number; gid?: number }): Promise<string> {
  const env = { HOME: dirname(home), PATH: process.env.PATH };
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      ['--input-type=module', '-e', source],
      { env, cwd: '/', timeout: 50_000, ...user },
      (error, stdout) => (error ? reject(error) : resolve(stdout)),
    );
  });
}

test('both servers start, a second open adopts them, and down ends exactly these two', async () => {
  const [settings, other] = [await newHome(), await newHome()];
  const first = await open(settings);
  const neighbour = await openDatabase(other);
  expect(first.origins).toEqual({ temporal: 'started', postgres: 'started' });
  const second = await open(settings);
  expect(second).toEqual({ ...first, origins: { temporal: 'adopted', postgres: 'adopted' } });
  const { temporal, postgres } = await findLocalStack(settings);
  expect(await query(second.databaseUrl, 'select 1 as one')).toEqual([{ one: 1 }]);

  expect(await stopLocalStack(settings)).toEqual({ temporal: temporal?.pid, postgres: postgres?.pid });
  expect(await findLocalStack(settings)).toEqual({ temporal: undefined, postgres: undefined });
  expect(await stopLocalStack(settings)).toEqual({ temporal: undefined, postgres: undefined });
  expect(await isAlive(neighbour.pid ?? 0)).toBe(true);
});

test('two starts at once end with one stack', async () => {
  const settings = await newHome();
  const [one, two] = await Promise.all([inAnotherProcess(settings), inAnotherProcess(settings)]);
  expect(one.pids).toEqual(two.pids);
  expect([one.temporal, two.temporal].sort()).toEqual(['adopted', 'started']);
  expect([one.postgres, two.postgres].sort()).toEqual(['adopted', 'started']);
});

test('after a kill of both servers the next start finds all that was written', async () => {
  const settings = await newHome();
  const openSafely = () => openLocalStack({ settings, say: recorder().say }); // as the product does: with every commit on the disk
  const first = await openSafely();
  await query(first.databaseUrl, 'create table kept as select 7 as number');
  const engine = await namespaceId(first.temporalAddress);
  const { temporal, postgres } = await findLocalStack(settings);
  process.kill(postgres?.pid ?? 0, 'SIGKILL');
  process.kill(temporal?.pid ?? 0, 'SIGKILL');
  const second = await openSafely();
  expect(second.origins).toEqual({ temporal: 'started', postgres: 'started' });
  expect(second.temporalAddress).toBe(first.temporalAddress);
  expect(await query(second.databaseUrl, 'select number from kept')).toEqual([{ number: 7 }]);
  expect(await namespaceId(second.temporalAddress)).toBe(engine);
});

test('a pid file that names another program is removed, and that program lives on', async () => {
  const settings = await newHome();
  const user = await findPostgresUser();
  await openDatabase(settings);
  const { cluster } = await placeOf(settings, user);
  const pidFile = await readFile(join(cluster, 'postmaster.pid'), 'utf8');
  await stopPostgres(settings);
  const stranger = spawn('sleep', ['600'], user ? { uid: user.uid, gid: user.gid } : {}); // of the same user: only then the server refuses
  try {
    await writeFile(join(cluster, 'postmaster.pid'), pidFile.replace(/^\d+/, String(stranger.pid)));
    if (user) await chown(join(cluster, 'postmaster.pid'), user.uid, user.gid);
    const { said, say } = recorder();
    expect((await openDatabase(settings, say)).origin).toBe('started');
    expect(said).toContain('A stale pid file of PostgreSQL names another program; removing it.');
    expect(await isAlive(stranger.pid ?? 0)).toBe(true);
  } finally {
    stranger.kill('SIGKILL');
  }
});

test('a database that was given up half-way is made anew', async () => {
  const settings = await newHome();
  const { area, draft } = await placeOf(settings, await findPostgresUser());
  await mkdir(join(draft, 'base'), { recursive: true });
  await writeFile(join(draft, 'PG_VERSION'), '18\n');
  expect((await openDatabase(settings)).origin).toBe('started');
  expect(existsSync(join(area, 'data.new'))).toBe(false);
});

test('a database whose home was deleted is kept aside, and its server stopped', async () => {
  const settings = await newHome();
  const first = await openDatabase(settings);
  await rm(join(settings.home, 'data', 'postgres-password'));
  const { said, say } = recorder();
  const second = await openDatabase(settings, say);
  expect(said.join('\n')).toMatch(/it is kept as .*\.kept-/);
  expect(second.databaseUrl).not.toBe(first.databaseUrl);
  expect(await isAlive(first.pid ?? 0)).toBe(false);
});

test('another major version of PostgreSQL is refused with both numbers', async () => {
  const settings = await newHome();
  await openDatabase(settings);
  await stopPostgres(settings);
  const { cluster } = await placeOf(settings, await findPostgresUser());
  await writeFile(join(cluster, 'PG_VERSION'), '17\n');
  await expect(openDatabase(settings)).rejects.toThrow(/made by PostgreSQL 17, and this durabot brings 18/);
});

test('a stranger on the remembered port keeps it; Temporal takes another one and says so', async () => {
  const settings = await newHome();
  const { say, said } = recorder();
  const first = await openTemporal({ settings, say });
  await stopTemporal(settings);
  const { temporal: port = 0 } = await rememberedPorts(settings.home);
  const stranger = await listenOn(port);
  try {
    const second = await openTemporal({ settings, say });
    expect(second.address).not.toBe(first.address);
    expect(said.join('\n')).toContain(
      `Port ${port} of Temporal is taken by another program; using ${second.address.split(':')[1]} from now on.`,
    );
    expect(stranger.listening).toBe(true);
  } finally {
    stranger.close();
  }
});

function listenOn(port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.end());
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}

test('a Temporal database of another server version is kept aside', async () => {
  const settings = await newHome();
  const { say, said } = recorder();
  const first = await openTemporal({ settings, say });
  const engine = await namespaceId(first.address);
  await stopTemporal(settings);
  await writeFile(join(settings.home, 'data', 'temporal', 'made-by'), '1.29.1');
  const second = await openTemporal({ settings, say });
  expect(await namespaceId(second.address)).not.toBe(engine);
  expect(said.join('\n')).toContain('was made by server 1.29.1');
  expect(
    (await readdir(join(settings.home, 'data', 'temporal'))).filter((name) => name.includes('.kept-1.29.1-')),
  ).not.toEqual([]);
});

test('a record of a Temporal whose pid is now another program is not believed', async () => {
  const settings = await newHome();
  await mkdir(join(settings.home, 'data', 'temporal'));
  const record = { pid: process.pid, startedAt: 'long ago', port: 1, uiPort: 2 };
  await writeFile(join(settings.home, 'data', 'temporal', 'server.json'), JSON.stringify(record));
  expect(await findLocalStack(settings)).toMatchObject({ temporal: undefined });
  expect(await stopTemporal(settings)).toBeUndefined();
});

test('a home whose path has 150 characters works', async () => {
  const folder = await newFolder();
  const settings = await newHome('h'.repeat(150 - folder.length - 1));
  expect(settings.home).toHaveLength(150);
  const stack = await open(settings);
  expect(await query(stack.databaseUrl, 'select 1 as one')).toEqual([{ one: 1 }]);
});

test('a home that was moved begins with its own data again', async () => {
  const settings = await newHome();
  await openTemporal({ settings, say: recorder().say });
  await stopTemporal(settings);
  const moved = { ...settings, home: `${settings.home}-moved` };
  await rename(settings.home, moved.home);
  homes.push(moved);
  expect((await openTemporal({ settings: moved, say: recorder().say })).origin).toBe('started');
});

const nobody = { uid: 65534, gid: 65534 };
const asOrdinaryUser = process.getuid?.() === 0 ? test : test.skip; // otherwise all the tests above have run as one

asOrdinaryUser('it works for an ordinary user, with the data in the home', async () => {
  const settings = await newHome();
  const folder = dirname(settings.home);
  const cli = join(folder, 'bin', 'temporal');
  const target = await realpath(cli); // in a home that this user may not enter
  await rm(cli);
  await copyFile(target, cli);
  for (const path of [folder, ...(await readdir(folder, { recursive: true })).map((name) => join(folder, name))]) {
    await chown(path, nobody.uid, nobody.gid);
  }
  const { pids, ...origins } = await inAnotherProcess(settings, nobody);
  expect(origins).toEqual({ temporal: 'started', postgres: 'started' });
  expect(existsSync(join(settings.home, 'data', 'postgres', 'data', 'PG_VERSION'))).toBe(true);
  await stopInAnotherProcess(settings, nobody);
  expect(await Promise.all(pids.map(isAlive))).toEqual([false, false]);
});
