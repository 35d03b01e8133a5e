// The two servers that durabot needs, as one thing: opened, found and stopped together.
import { constants } from 'node:fs';
import { access, mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Endpoints, removeEndpoints } from './endpoints.js';
import { errorCode } from './files.js';
import { findPostgres, openPostgres, stopPostgres } from './postgres.js';
import { type Origin, type Say, StackError, type StackSettings } from './stack-settings.js';
import { findTemporal, openTemporal, stopTemporal } from './temporal.js';

export interface LocalStack {
  temporalAddress: string;
  /** Unknown for a server that is not ours. */
  temporalUi?: string | undefined;
  namespace: string;
  databaseUrl: string;
  origins: { temporal: Origin; postgres: Origin };
}

export interface OpenStack {
  settings: StackSettings;
  say: Say;
  /** Tests only: PostgreSQL without fsync. */
  withoutSync?: boolean;
}

/**
 * Both servers, running and fit for us: found, adopted, repaired or started. Repeatable, also by two processes at once:
 * there is one stack in the end. Rejects with StackError, whose message is the sentence for the person.
 */
export async function openLocalStack({ settings, say, withoutSync = false }: OpenStack): Promise<LocalStack> {
  await makeHome(settings.home);
  // Waited for both, so that a failure of one does not leave the other being started behind our back.
  const [temporal, postgres] = await Promise.allSettled([
    openTemporal({ settings, say }),
    openPostgres({ settings, say, withoutSync }),
  ]);
  if (temporal.status === 'rejected') throw temporal.reason;
  if (postgres.status === 'rejected') throw postgres.reason;
  return {
    temporalAddress: temporal.value.address,
    temporalUi: temporal.value.uiUrl,
    namespace: temporal.value.namespace,
    databaseUrl: postgres.value.databaseUrl,
    origins: { temporal: temporal.value.origin, postgres: postgres.value.origin },
  };
}

export interface FoundStack {
  temporal:
    | { address: string; uiUrl?: string | undefined; namespace: string; ours: boolean; pid?: number | undefined }
    | undefined;
  postgres: { databaseUrl: string; ours: boolean; pid?: number | undefined } | undefined;
}

/** What runs of this home's stack now. Starts nothing and asks no server: what is given by the environment counts as there. */
export async function findLocalStack(settings: StackSettings): Promise<FoundStack> {
  const [temporal, postgres] = await Promise.all([findTemporal(settings), findPostgres(settings)]);
  return {
    temporal: temporal && { ...temporal, ours: temporal.origin !== 'given' },
    postgres: postgres && { ...postgres, ours: postgres.origin !== 'given' },
  };
}

/** Stops the servers of this home that durabot started, and nothing else; answers with their pids. */
export async function stopLocalStack(
  settings: StackSettings,
): Promise<{ temporal?: number | undefined; postgres?: number | undefined }> {
  if (!(await stat(settings.home).catch(() => undefined))) return {}; // a home that was never made holds nothing to stop
  await makeHome(settings.home);
  await removeEndpoints(settings.home);
  const temporal = await stopTemporal(settings); // first: its workers lose their engine before they lose their store
  return { temporal, postgres: await stopPostgres(settings) };
}

export function toEndpoints(stack: LocalStack): Endpoints {
  return {
    temporal: stack.temporalAddress,
    temporalUi: stack.temporalUi,
    namespace: stack.namespace,
    postgres: stack.origins.postgres === 'given' ? withoutPassword(stack.databaseUrl) : stack.databaseUrl,
  };
}

// A secret of the owner's stays where the owner put it.
function withoutPassword(databaseUrl: string): string {
  try {
    const url = new URL(databaseUrl);
    url.password = '';
    return url.href;
  } catch {
    return 'DATABASE_URL';
  }
}

async function makeHome(home: string): Promise<void> {
  try {
    for (const folder of [home, ...['data', 'logs', 'run'].map((name) => join(home, name))]) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await access(folder, constants.W_OK);
    }
  } catch (error) {
    throw new StackError(
      `${home} cannot be written (${errorCode(error)}). Make this user its owner, or set DURABOT_HOME to another folder.`,
    );
  }
}
