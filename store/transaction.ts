// One transaction of the store, READ COMMITTED. Rows are locked by FOR NO KEY UPDATE: a plain FOR UPDATE would wait for the
// foreign-key checks of a tool's result that in turn waits for us.
import type { CrashPoint, CrashPointName } from './crash-points.js';
import type { Client, Pool } from './pool.js';

export interface Database {
  pool: Pool;
  crashPoint: CrashPoint;
}

/**
 * Runs `work` between BEGIN and COMMIT; a rejection rolls back and is passed on. A COMMIT whose answer is lost rejects although it
 * may have taken effect, so whatever runs here must be safe to repeat. `points` names the crash points around this commit; `work` may
 * add to it what it turns out to do.
 */
export async function inTransaction<Result>(
  { pool, crashPoint }: Database,
  work: (client: Client) => Promise<Result>,
  points: readonly CrashPointName[] = [],
): Promise<Result> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    await client.query('begin');
    const result = await work(client);
    for (const point of points) crashPoint(point, 'before');
    await client.query('commit');
    for (const point of points) crashPoint(point, 'after');
    return result;
  } catch (error) {
    await client.query('rollback').catch((rollbackError: Error) => {
      broken = rollbackError; // the connection is gone and must not go back into the pool
    });
    throw error;
  } finally {
    client.release(broken);
  }
}
