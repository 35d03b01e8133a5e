// Brings a database to the newest schema. Forward only.
import { fileURLToPath } from 'node:url';
import { runner } from 'node-pg-migrate';

const folder = fileURLToPath(new URL('./migrations', import.meta.url));

/**
 * Safe to call from several processes at once: one migrates under an advisory lock, the others wait for it, and find nothing to do.
 * Safe to call again. Rejects when the database cannot be reached or a migration fails; what a failed migration did is rolled back.
 */
export async function migrate(databaseUrl: string): Promise<void> {
  await runner({
    databaseUrl,
    dir: folder,
    migrationsTable: 'migration',
    direction: 'up',
    checkOrder: true,
    advisoryLockMode: 'wait',
    log: () => {},
  });
}
