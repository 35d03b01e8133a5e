// Our own Temporal server: started on a file, adopted, repaired and stopped here. It runs detached and outlives us;
// `durabot down` stops it. Its database may be thrown away at any time: the store brings every open turn back.
import { spawn } from 'node:child_process';
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { searchAttributeNames } from '../../workflows/contract.js';
import { readIfThere, readJsonIfWhole, replaceFile } from './files.js';
import { withLock } from './lock.mjs';
import { choosePort, type PortName, rememberPorts } from './ports.js';
import { commandLineOf, identityOf, isAlive, isSameProcess } from './processes.mjs';
import { trimLog } from './server-log.js';
import { sayWhenSlow } from './slow.js';
import { type Origin, type Say, StackError, type StackSettings } from './stack-settings.js';
import { obtainTemporalBinary, type TemporalBinary } from './temporal-binary.js';
import { decideDatabase, isOurTemporal, type ServerRecord, serverRecordSchema } from './temporal-decide.js';
import { isEngineReady, prepareNamespace } from './temporal-namespace.js';

const readyWithinMs = 60_000;
const stopWithinMs = 10_000;
const killWithinMs = 5000;

/**
 * Without these a step waits up to 50 ms in the server's queue (20 loads a second), and every timer is rounded up to a
 * second. Eager activities are off by default. The values are JSON: the quotes belong to them.
 */
const dynamicConfig = [
  'history.transferProcessorMaxPollRPS=2000',
  'history.timerProcessorMaxPollRPS=2000',
  'history.timerProcessorMaxTimeShift="10ms"',
  'system.enableActivityEagerExecution=true',
];

export interface OpenTemporal {
  address: string;
  /** Unknown for a server that is not ours. */
  uiUrl?: string;
  namespace: string;
  origin: Origin;
  pid?: number;
}

export interface TemporalOptions {
  settings: StackSettings;
  say: Say;
}

/** Repeatable: the second call finds what the first one started. Rejects with StackError, whose message is for the person. */
export async function openTemporal({ settings, say }: TemporalOptions): Promise<OpenTemporal> {
  const namespace = settings.temporalNamespace;
  if (settings.temporalAddress) {
    await prepareNamespace({ address: settings.temporalAddress, namespace, ours: false });
    return { address: settings.temporalAddress, namespace, origin: 'given' };
  }
  const waiting = (pid: number) => say(`Another start (process ${pid}) is opening Temporal; waiting for it.`);
  return withLock(
    join(settings.home, 'run', 'temporal.lock'),
    async () => {
      const running = await findOurs(settings);
      const server = running ?? (await start(settings, await obtainTemporalBinary(settings, say), say));
      const address = addressOf(server);
      await prepareNamespace({ address, namespace, ours: true });
      return { address, uiUrl: uiUrlOf(server), namespace, origin: running ? 'adopted' : 'started', pid: server.pid };
    },
    { onWait: waiting },
  );
}

/** What runs now, without starting anything; undefined when nothing of ours does. */
export async function findTemporal(settings: StackSettings): Promise<OpenTemporal | undefined> {
  const namespace = settings.temporalNamespace;
  if (settings.temporalAddress) return { address: settings.temporalAddress, namespace, origin: 'given' };
  const server = await findOurs(settings);
  return (
    server && { address: addressOf(server), uiUrl: uiUrlOf(server), namespace, origin: 'adopted', pid: server.pid }
  );
}

/** Ends our own server and no other; answers with its pid, or undefined when none ran. */
export async function stopTemporal(settings: StackSettings): Promise<number | undefined> {
  return withLock(join(settings.home, 'run', 'temporal.lock'), async () => {
    const server = await findOurs(settings);
    if (!server) return undefined;
    process.kill(server.pid, 'SIGTERM');
    if (!(await endsWithin(server, stopWithinMs))) process.kill(server.pid, 'SIGKILL'); // its file survives that
    if (!(await endsWithin(server, killWithinMs)))
      throw new StackError(`Temporal (process ${server.pid}) does not stop. End it by hand: kill -9 ${server.pid}`);
    await rm(filesOf(settings).record, { force: true });
    return server.pid;
  });
}

function filesOf({ home }: StackSettings) {
  const folder = join(home, 'data', 'temporal');
  return {
    folder,
    database: join(folder, 'temporal.db'),
    madeBy: join(folder, 'made-by'),
    record: join(folder, 'server.json'),
    log: join(home, 'logs', 'temporal.log'),
  };
}

async function findOurs(settings: StackSettings): Promise<ServerRecord | undefined> {
  const files = filesOf(settings);
  const record = serverRecordSchema.safeParse(await readJsonIfWhole(files.record)).data;
  if (!record) return undefined;
  const facts = {
    record,
    sameProcess: await isSameProcess(record),
    commandLine: await commandLineOf(record.pid),
    database: files.database,
  };
  return isOurTemporal(facts) ? record : undefined;
}

async function start(settings: StackSettings, binary: TemporalBinary, say: Say): Promise<ServerRecord> {
  const files = filesOf(settings);
  await mkdir(files.folder, { recursive: true, mode: 0o700 });
  await mkdir(join(settings.home, 'logs'), { recursive: true, mode: 0o700 });
  await trimLog(files.log);
  await chooseDatabase(files, binary, say);
  const refused: number[] = [];
  for (;;) {
    const port = await portFor(settings, 'temporal', refused, say);
    const uiPort = await portFor(settings, 'temporalUi', [...refused, port], say);
    await rememberPorts(settings.home, { temporal: port, temporalUi: uiPort });
    const server = await spawnServer(settings, binary, { port, uiPort });
    const record = { ...(await identityOf(server.pid)), port, uiPort };
    await replaceFile(files.record, JSON.stringify(record));
    if (await sayWhenSlow(say, 'Starting Temporal', () => waitUntilReady(record, server.runs))) return record;
    const log = await server.logged();
    if (!/address already in use|bind:/i.test(log) || refused.length >= 10) {
      throw new StackError(
        `Temporal did not start: ${log.trim().split('\n').at(-1) || 'it said nothing'} (all of it: ${files.log})`,
      );
    }
    refused.push(port, uiPort); // somebody was quicker between our look and the server's
  }
}

async function portFor(settings: StackSettings, name: PortName, avoid: number[], say: Say): Promise<number> {
  const { port, taken } = await choosePort(settings.home, name, avoid);
  const what = name === 'temporal' ? 'Temporal' : 'the Temporal UI';
  if (taken !== undefined) say(`Port ${taken} of ${what} is taken by another program; using ${port} from now on.`);
  return port;
}

async function chooseDatabase(
  files: ReturnType<typeof filesOf>,
  { serverVersion }: TemporalBinary,
  say: Say,
): Promise<void> {
  const exists = (await stat(files.database).catch(() => undefined)) !== undefined;
  const madeBy = (await readIfThere(files.madeBy))?.trim();
  if (decideDatabase({ exists, madeBy, serverVersion }) === 'keep aside') {
    const aside = `${files.database}.kept-${madeBy ?? 'unknown'}-${Date.now()}`;
    // With its -wal and -shm: they hold the latest of it.
    for (const name of await readdir(files.folder)) {
      if (/^temporal\.db(-wal|-shm)?$/.test(name))
        await rename(join(files.folder, name), aside + name.slice('temporal.db'.length));
    }
    say(
      `The Temporal database was made by server ${madeBy ?? 'of an unknown version'}, and this one is ${serverVersion}. It is kept as ${aside}; a new one is filled from the store.`,
    );
  }
  await replaceFile(files.madeBy, serverVersion);
}

async function spawnServer(
  settings: StackSettings,
  { path }: TemporalBinary,
  { port, uiPort }: { port: number; uiPort: number },
) {
  const files = filesOf(settings);
  const log = await open(files.log, 'a', 0o600);
  const { size: logStart } = await log.stat();
  const child = spawn(
    path,
    [
      'server',
      'start-dev',
      '--db-filename',
      files.database,
      '--ip',
      '127.0.0.1',
      '--port',
      String(port),
      '--ui-port',
      String(uiPort),
      '--sqlite-pragma',
      'journal_mode=WAL',
      '--sqlite-pragma',
      'synchronous=NORMAL',
      ...dynamicConfig.flatMap((setting) => ['--dynamic-config-value', setting]),
      ...searchAttributeNames.flatMap((name) => ['--search-attribute', `${name}=Keyword`]),
      ...(settings.temporalNamespace === 'default' ? [] : ['--namespace', settings.temporalNamespace]),
      '--ui-disable-news-fetch',
      '--log-level',
      'warn',
      '--disable-config-file',
      '--disable-config-env',
    ],
    // Detached, so that Ctrl-C in the terminal does not take the server from under the turn that is being closed.
    // The environment is not ours, which holds the owner's keys.
    {
      cwd: files.folder,
      env: { HOME: files.folder, TZ: 'UTC', PATH: '/usr/local/bin:/usr/bin:/bin' },
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
    },
  );
  let ended = false;
  child.once('exit', () => {
    ended = true;
  });
  child.once('error', () => {
    ended = true;
  });
  child.unref();
  await log.close();
  if (child.pid === undefined)
    throw new StackError(`${path} cannot be started. Delete it, or set TEMPORAL_ADDRESS to a server that runs.`);
  return {
    pid: child.pid,
    runs: () => !ended,
    logged: async () => (await readFile(files.log)).subarray(logStart).toString('utf8'),
  };
}

/** False when the server ended instead. */
async function waitUntilReady(server: ServerRecord, runs: () => boolean): Promise<boolean> {
  const until = performance.now() + readyWithinMs;
  while (!(await isEngineReady(addressOf(server)))) {
    if (!runs() || !(await isAlive(server.pid))) return false;
    if (performance.now() > until)
      throw new StackError(`Temporal does not answer after ${readyWithinMs / 1000} s. Its log may tell why.`);
    await pause(25);
  }
  return true;
}

async function endsWithin(server: ServerRecord, ms: number): Promise<boolean> {
  const until = performance.now() + ms;
  while (await isSameProcess(server)) {
    if (performance.now() > until) return false;
    await pause(20);
  }
  return true;
}

function addressOf({ port }: ServerRecord): string {
  return `127.0.0.1:${port}`;
}

function uiUrlOf({ uiPort }: ServerRecord): string {
  return `http://127.0.0.1:${uiPort}`;
}
