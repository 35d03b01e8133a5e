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
    statement_timeout: 10_000,
    idle_in_transaction_session_timeout: 10_000,
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

const awayCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ENOENT',
  'ETIMEDOUT',
  '57P01',
  '57P02',
  '57P03',
  '53300',
  '25P03',
]);

/** The store did not answer: the same call may succeed later. Whether a commit that was under way took effect is not known. */
export function isStoreAway(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (awayCodes.has(code) || code.startsWith('08')) return true;
  const message = 'message' in error && typeof error.message === 'string' ? error.message : '';
  return /Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|not queryable/.test(
    message,
  );
}

/** The named constraint or unique index refused a row. */
export function violates(error: unknown, constraint: string): boolean {
  return typeof error === 'object' && error !== null && 'constraint' in error && error.constraint === constraint;
}
