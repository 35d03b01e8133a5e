// Facts about this installation as a whole.
import type { StoreDeps } from './deps.js';
import { toJson } from './stored-text.js';

async function readFact(deps: Pick<StoreDeps, 'pool'>, key: string): Promise<unknown> {
  const { rows } = await deps.pool.query<{ value: unknown }>('select value from installation where key = $1', [key]);
  return rows[0]?.value ?? null;
}

async function writeFact(deps: Pick<StoreDeps, 'pool'>, key: string, value: unknown): Promise<void> {
  await deps.pool.query(
    `insert into installation (key, value) values ($1, $2) on conflict (key) do update set value = excluded.value`,
    [key, toJson(value)],
  );
}

/** The id of the engine's namespace when its attributes and Schedules were last made: another one means an empty engine. */
export async function readNamespaceId(deps: Pick<StoreDeps, 'pool'>): Promise<string | null> {
  const value = await readFact(deps, 'namespaceId');
  return typeof value === 'string' ? value : null;
}

/** Written last, after everything else has been made: a rebuild that was cut short is done again. */
export function writeNamespaceId(deps: Pick<StoreDeps, 'pool'>, id: string): Promise<void> {
  return writeFact(deps, 'namespaceId', id);
}

/** `/pause`: no step opens until it is taken back; kept over restarts. */
export function setPaused(deps: Pick<StoreDeps, 'pool'>, paused: boolean): Promise<void> {
  return writeFact(deps, 'paused', paused);
}

export async function isPaused(deps: Pick<StoreDeps, 'pool'>): Promise<boolean> {
  return (await readFact(deps, 'paused')) === true;
}
