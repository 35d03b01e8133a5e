// What to do with the database folder that was found. Pure: facts in, a decision out.

export interface PidFile {
  pid: number;
  port: number;
  /** Empty when the server listens on TCP only. */
  socketFolder: string;
}

export interface PostgresFacts {
  /** PG_VERSION of the cluster; undefined when there is no cluster. */
  clusterMajor: string | undefined;
  /** Major version of the programs that we have. */
  programsMajor: string;
  /** A cluster that was given up half-way lies beside it. */
  draft: boolean;
  hasPassword: boolean;
  pidFile: (PidFile & { alive: boolean; commandLine: string | undefined }) | undefined;
  cluster: string;
}

export type PostgresDecision =
  | { kind: 'adopt'; pidFile: PidFile }
  | { kind: 'start'; removePidFile: boolean }
  | { kind: 'initialise'; removeDraft: boolean }
  /** The cluster belongs to a home that was deleted: nobody has its password any more. */
  | { kind: 'keep aside'; stopFirst?: number | undefined }
  | { kind: 'refuse'; sentence: string };

export function decidePostgres(facts: PostgresFacts): PostgresDecision {
  const running = isOurServer(facts) ? facts.pidFile : undefined;
  if (facts.clusterMajor === undefined) return { kind: 'initialise', removeDraft: facts.draft };
  if (!facts.hasPassword) return { kind: 'keep aside', stopFirst: running?.pid };
  if (running) return { kind: 'adopt', pidFile: running };
  if (facts.clusterMajor !== facts.programsMajor) {
    return {
      kind: 'refuse',
      sentence: `The database in ${facts.cluster} was made by PostgreSQL ${facts.clusterMajor}, and this durabot brings ${facts.programsMajor}. Start the durabot that made it and take a backup, or move the folder away to begin empty.`,
    };
  }
  // The server itself removes a file whose process is gone. One whose pid was given to another program makes it refuse.
  return { kind: 'start', removePidFile: facts.pidFile?.alive === true };
}

/** A `postgres` that runs on this very folder, and not a program that was given the pid of one. */
export function isOurServer({ pidFile, cluster }: Pick<PostgresFacts, 'pidFile' | 'cluster'>): boolean {
  if (!pidFile?.alive || pidFile.commandLine === undefined) return false;
  return (
    /(^|[/\\])postgres(\.exe)?\s/.test(pidFile.commandLine) && `${pidFile.commandLine} `.includes(`-D ${cluster} `)
  );
}

/** The first lines of postmaster.pid: pid, data folder, start time, port, socket folder. */
export function parsePidFile(text: string): PidFile | undefined {
  const lines = text.split('\n');
  const pid = Number(lines[0]);
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  return { pid, port: Number(lines[3]) || 5432, socketFolder: lines[4]?.trim() ?? '' };
}

export type FailedStart = 'old back ends still live' | 'port taken' | 'running already' | 'broken';

/** Why a server ended right after its start, read from what it logged. */
export function decideFailedStart(log: string): FailedStart {
  if (/pre-existing shared memory block|shared memory block .* still in use/.test(log))
    return 'old back ends still live';
  if (/could not bind|Address already in use|could not create any TCP\/IP sockets/i.test(log)) return 'port taken';
  if (/lock file ".*" already exists/.test(log)) return 'running already';
  return 'broken';
}
