// Brings a database to the newest schema. Forward only.
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { runner } from 'node-pg-migrate';

const folder = fileURLToPath(new URL('./migrations', import.meta.url));
const attempts = 100;

/**
 * Safe to call from several processes at once: one migrates under an advisory lock, the others wait for it. Safe to call again.
 * Rejects when the database cannot be reached or a migration fails; what a failed migration did is rolled back.
 */
export async function migrate(databaseUrl: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await runner({
        databaseUrl,
        dir: folder,
        migrationsTable: 'migration',
        direction: 'up',
        checkOrder: true,
        log: () => {},
      });
      return;
    } catch (error) {
      // Of several runners the library lets one migrate and rejects the rest.
      if (attempt === attempts || !(error instanceof Error && /migration is already running/.test(error.message)))
        throw error;
      await sleep(100);
    }
  }
}
