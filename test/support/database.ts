// A database of its own for each test file, in the PostgreSQL that test/run.mjs started.
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { migrate } from '../../store/migrate.js';

export interface TestDatabase {
  databaseUrl: string;
  /** Drops the database, also under connections that are still open. */
  drop(): Promise<void>;
}

/** `migrated: false` gives an empty one, for tests of the migrations themselves. */
export async function createTestDatabase({ migrated = true } = {}): Promise<TestDatabase> {
  const serverUrl = serverUrlOfTheRun();
  const name = `test_${randomBytes(6).toString('hex')}`;
  await onServer(serverUrl, `create database ${name} template template0`);
  const databaseUrl = toDatabase(serverUrl, name);
  if (migrated) await migrate(databaseUrl);
  return { databaseUrl, drop: () => onServer(serverUrl, `drop database if exists ${name} with (force)`) };
}

function serverUrlOfTheRun(): string {
  const url = process.env.DURABOT_TEST_DATABASE_URL;
  if (url) return url;
  throw new Error(
    'DURABOT_TEST_DATABASE_URL is not set. Run "npm test -- <file>", or keep "node test/run.mjs --stack-only" running and export its lines.',
  );
}

function toDatabase(serverUrl: string, name: string): string {
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return url.href;
}

async function onServer(connectionString: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
