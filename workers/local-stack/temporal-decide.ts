// What to do with the engine that was found. Pure: facts in, a decision out.
import { z } from 'zod';

/** What we wrote down of the server that we started: `data/temporal/server.json`. */
export const serverRecordSchema = z.object({
  pid: z.number().int().positive(),
  startedAt: z.string(),
  port: z.number().int().positive(),
  uiPort: z.number().int().positive(),
});

export type ServerRecord = z.infer<typeof serverRecordSchema>;

export interface TemporalFacts {
  record: ServerRecord | undefined;
  /** The process of the record still runs: same pid and same start time. */
  sameProcess: boolean;
  commandLine: string | undefined;
  database: string;
}

/**
 * Ours is the process that we wrote down, on our own file. That something answers on the port proves nothing: it may be
 * a stranger's server, and ours may have died.
 */
export function isOurTemporal({ record, sameProcess, commandLine, database }: TemporalFacts): boolean {
  return record !== undefined && sameProcess && commandLine?.includes(`--db-filename ${database}`) === true;
}

/** The dev server makes a schema and never migrates one: a file belongs to the server version that made it. */
export function decideDatabase(facts: {
  exists: boolean;
  madeBy: string | undefined;
  serverVersion: string;
}): 'use' | 'keep aside' {
  return facts.exists && facts.madeBy !== facts.serverVersion ? 'keep aside' : 'use';
}
