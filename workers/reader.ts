// Commands that only look need the store and nothing else. PostgreSQL is started for them if it has to be, and stopped again.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { migrate } from '../store/migrate.js';
import { openPool, type Pool } from '../store/pool.js';
import type { Config } from './config.js';
import { openPostgres, stopPostgres } from './local-stack/postgres.js';
import type { Say } from './local-stack/stack-settings.js';

export async function withReader<Result>(
  { home, stack }: Config,
  say: Say,
  look: (reader: { pool: Pool }) => Promise<Result>,
): Promise<Result> {
  for (const folder of ['data', 'logs', 'run']) await mkdir(join(home, folder), { recursive: true, mode: 0o700 });
  const { databaseUrl, origin } = await openPostgres({ settings: stack, say });
  try {
    await migrate(databaseUrl);
    const pool = openPool({ databaseUrl, max: 4 });
    try {
      return await look({ pool });
    } finally {
      await pool.end();
    }
  } finally {
    if (origin === 'started') await stopPostgres(stack);
  }
}
