// One transaction of the store, READ COMMITTED. Rows are locked by FOR NO KEY UPDATE: a plain FOR UPDATE would wait for the
// foreign-key checks of a tool's result that in turn waits for us.
import type { CrashPoint, CrashPointName } from './crash-points.js';
import type { Client, Pool } from './pool.js';

export interface Database {
  pool: Pool;
  crashPoint: CrashPoint;
}

export interface TransactionOptions {
  /** The crash points around this commit; `work` may add to it what it turns out to do. */
  points?: readonly CrashPointName[];
  /** A conversation that is locked, with its parent's, before `work` begins: in the same message as BEGIN. */
  lock?: string;
  /**
   * COMMIT is answered before the disk has it. Only where a crash of PostgreSQL may lose the whole transaction and nothing outside
   * rests on it; the next commit that waits for the disk brings it along.
   */
  relaxed?: boolean;
}

/**
 * Runs `work` between BEGIN and COMMIT; a rejection rolls back and is passed on. A COMMIT whose answer is lost rejects although it
 * may have taken effect, so whatever runs here must be safe to repeat.
 */
export async function inTransaction<Result>(
  { pool, crashPoint }: Database,
  work: (client: Client) => Promise<Result>,
  { points = [], lock, relaxed = false }: TransactionOptions = {},
): Promise<Result> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    await client.query(opening(lock, relaxed));
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

// One round trip. The parts are separate statements, so what `work` reads is newer than the lock.
function opening(lock: string | undefined, relaxed: boolean): string {
  const parts = ['begin'];
  if (relaxed) parts.push('set local synchronous_commit = off');
  if (lock !== undefined) parts.push(lockConversationsSql(lock));
  return parts.join('; ');
}

/** Locks a conversation and its parent's, the ancestor first: ids grow with the generations. The id is checked, not quoted. */
export function lockConversationsSql(conversationId: string): string {
  if (!/^\d+$/.test(conversationId)) throw new Error('not the id of a conversation');
  return `select id from conversation
    where id in (${conversationId}, (select parent_conversation_id from conversation where id = ${conversationId}))
    order by id for no key update`;
}
