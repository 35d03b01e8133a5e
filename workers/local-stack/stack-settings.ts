/** What the local stack needs to know of configuration and environment; `workers/config.ts` fills it. */
export interface StackSettings {
  /** DURABOT_HOME, absolute. */
  home: string;
  /** A PostgreSQL of the owner's own: nothing is started then. */
  databaseUrl?: string | undefined;
  /** A Temporal of the owner's own: nothing is started then. */
  temporalAddress?: string | undefined;
  temporalNamespace: string;
  /** PATH, where a `temporal` of the owner's may lie. */
  searchPath: string;
  /** Where what we download or build is kept for every home. */
  cacheFolder: string;
  /** XDG_RUNTIME_DIR: a short folder that only this user may enter. */
  runtimeFolder?: string | undefined;
}

/** One line for the person who waits. */
export type Say = (line: string) => void;

/** A part of the stack that cannot be had. The message is the sentence for the person: what is wrong and what to change. */
export class StackError extends Error {}

/** `started`: by this call. `adopted`: ours, it ran already. `given`: by DATABASE_URL or TEMPORAL_ADDRESS. */
export type Origin = 'started' | 'adopted' | 'given';
