import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { isStoreAway, openPool, type Pool } from '../../store/pool.js';
import { openTestStore, type TestStore } from '../support/store.js';

let t: TestStore;

beforeAll(async () => {
  t = await openTestStore();
});
afterAll(() => t.close());

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  );
}

async function withPool(databaseUrl: string, use: (pool: Pool) => Promise<void>): Promise<void> {
  const pool = openPool({ databaseUrl });
  try {
    await use(pool);
  } finally {
    await pool.end();
  }
}

test('a server that cannot be reached is away', () =>
  withPool('postgresql://durabot@127.0.0.1:1/none', async (pool) => {
    expect(isStoreAway(await failureOf(pool.query('select 1')))).toBe(true);
  }));

test('a connection that is ended under a statement, or a statement that takes too long, is an outage', () =>
  withPool(t.databaseUrl, async (pool) => {
    const client = await pool.connect();
    await client.query('set statement_timeout = 20');
    expect(isStoreAway(await failureOf(client.query('select pg_sleep(5)')))).toBe(true);
    const { rows } = await client.query('select pg_backend_pid() as pid');
    await client.query('set statement_timeout = 0');
    const asleep = failureOf(client.query('select pg_sleep(60)'));
    await t.pool.query('select pg_terminate_backend($1)', [rows[0].pid]);
    expect(isStoreAway(await asleep)).toBe(true);
    client.release(true);
  }));

test('a mistake is not an outage', async () => {
  for (const sql of ['select from nowhere', `select '1.5'::int`, 'insert into step default values'])
    expect(isStoreAway(await failureOf(t.pool.query(sql)))).toBe(false);
  expect(isStoreAway(new Error('no'))).toBe(false);
  expect(isStoreAway(null)).toBe(false);
});
