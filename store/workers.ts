// Whether a worker is there, on whatever host. Each holds a shared lock on the connection it listens on: the lock goes with the process,
// however that ends, without a clock to compare and a row to clean up.
import type { Pool } from './pool.js';

const lock = [1_685_418_594, 1]; // any two numbers that nothing else locks

/** Taken by a worker on its own connection, again after each reconnect. Never waits: nobody takes it exclusively. */
export const holdWorkerLock = `select pg_advisory_lock_shared(${lock.join(', ')})`;

/** A worker that is frozen counts; one that died does not, as soon as its connection is closed. */
export async function countWorkers(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ count: number }>({
    name: 'count-workers',
    text: `select count(*)::int as count from pg_locks
      where locktype = 'advisory' and granted and classid = $1 and objid = $2 and objsubid = 2
        and database = (select oid from pg_database where datname = current_database())`,
    values: lock,
  });
  return rows[0]?.count ?? 0;
}
