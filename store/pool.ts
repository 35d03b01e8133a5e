// Connections to PostgreSQL. A pool without an error listener ends the process when the server restarts.
import pg from 'pg';

export type Pool = pg.Pool;
export type Client = pg.PoolClient;

export interface PoolOptions {
  databaseUrl: string;
  /** Connections at most, 10. */
  max?: number;
  /** Told about connections that broke while idle; the next query opens a new one. */
  onError?(error: Error): void;
}

export function openPool({ databaseUrl, max = 10, onError }: PoolOptions): Pool {
  const pool = new pg.Pool({
    ...connectionOptions(databaseUrl),
    max,
    connectionTimeoutMillis: 5_000,
    idleTimeoutMillis: 60_000,
    // Prepared statements are planned once a connection, not five times for their first values: some take longer to plan than to run.
    options: '-c plan_cache_mode=force_generic_plan',
    statement_timeout: 10_000,
    // A process that freezes in the middle of a transaction holds up its conversation, a stop of it included.
    idle_in_transaction_session_timeout: 5_000,
  });
  pool.on('error', (error) => onError?.(error));
  // A checked-out client that breaks between two queries has no other listener.
  pool.on('connect', (client) => client.on('error', (error) => onError?.(error)));
  return pool;
}

export function connectionOptions(databaseUrl: string): pg.ClientConfig {
  return {
    connectionString: databaseUrl,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    application_name: 'durabot',
  };
}

// No way to the server, or a server that starts, stops, is a standby, has no room, or was too slow. A deadlock and a lost
// serialization are no outage, but end alike: rolled back, and to be done again.
const awayCodes =
  /^(ECONNREFUSED|ECONNRESET|ECONNABORTED|EPIPE|ENOENT|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN|08...|53...|57014|57P0[1-5]|58030|25006|25P03|40001|40P01)$/;
const awayWords =
  /Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|not queryable/;

/** The store did not answer: the same call may succeed later. Whether a commit that was under way took effect is not known. */
export function isStoreAway(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  const message = 'message' in error && typeof error.message === 'string' ? error.message : '';
  return awayCodes.test(code) || awayWords.test(message);
}

/** The named constraint or unique index refused a row. */
export function violates(error: unknown, constraint: string): boolean {
  return typeof error === 'object' && error !== null && 'constraint' in error && error.constraint === constraint;
}
