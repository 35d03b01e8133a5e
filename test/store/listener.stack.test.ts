// The connection that words come over, cut and refused by a proxy between it and the server.
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { type Listener, openListener } from '../../store/listener.js';
import { openTestStore, type TestStore } from '../support/store.js';

interface Proxy {
  databaseUrl: string;
  /** When connections came while it refused. */
  refused: number[];
  refuse(): void;
  accept(): void;
  close(): void;
}

let store: TestStore | undefined;
let proxy: Proxy | undefined;
let listener: Listener | undefined;
afterEach(async () => {
  await listener?.close();
  proxy?.close();
  await store?.close();
});

async function openProxy(databaseUrl: string): Promise<Proxy> {
  const url = new URL(databaseUrl);
  const folder = url.searchParams.get('host');
  const target = folder
    ? { path: join(folder, `.s.PGSQL.${url.searchParams.get('port')}`) }
    : { host: url.hostname, port: Number(url.port) };
  const open = new Set<Socket>();
  let refusing = false;
  const refused: number[] = [];
  const server: Server = createServer((socket) => {
    if (refusing) {
      refused.push(performance.now());
      socket.destroy();
      return;
    }
    const behind = connect(target);
    for (const end of [socket, behind]) {
      open.add(end);
      end.on('error', () => {}).on('close', () => open.delete(end));
    }
    socket.pipe(behind).pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (typeof address !== 'object' || !address) throw new Error('no port');
  const proxied = new URL(`postgresql://127.0.0.1:${address.port}${url.pathname}`);
  [proxied.username, proxied.password] = [url.username, url.password];
  return {
    databaseUrl: proxied.href,
    refused,
    refuse() {
      refusing = true;
      for (const socket of open) socket.destroy();
    },
    accept: () => {
      refusing = false;
    },
    close() {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}

test('a server that stays away for a while is asked by one connection, and heard once when it is back', async () => {
  store = await openTestStore();
  proxy = await openProxy(store.databaseUrl);
  let tell = () => {};
  listener = await openListener({ databaseUrl: proxy.databaseUrl, onError: () => tell() });
  const listening = new Promise<void>((resolve) => listener?.on('reconnected', resolve));
  const { refused } = proxy;
  proxy.refuse();
  while (refused.length < 4) {
    await new Promise<void>((resolve) => {
      tell = resolve;
    });
  }
  // The next try begins half a second after the last one has failed. Two that go on side by side come closer together.
  const gaps = refused.slice(1).map((at, index) => at - (refused[index] ?? 0));
  expect(Math.min(...gaps)).toBeGreaterThan(400);
  proxy.accept();
  await listening;

  const heard: string[] = [];
  const word = new Promise<void>((resolve) => {
    listener?.on('turn', (turnId) => {
      heard.push(turnId);
      if (turnId === 'last') resolve();
    });
  });
  await store.pool.query(`select pg_notify('durabot_turn', 'first')`);
  await store.pool.query(`select pg_notify('durabot_turn', 'last')`);
  await word;
  expect(heard).toEqual(['first', 'last']);
});
