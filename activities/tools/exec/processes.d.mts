/** One process of one boot. */
export interface ProcessIdentity {
  bootId: string;
  pid: number;
  /** Ticks since boot, as the kernel writes them. */
  startTime: string;
}

export interface ProcessRow {
  pid: number;
  zombie: boolean;
  parent: number;
  session: number;
  threads: number;
  startTime: string;
  residentPages: number;
}

export function bootId(): string;
export function startTimeOf(pid: number): string | undefined;
export function isAlive(identity: ProcessIdentity): boolean;
export function membersOf(root: number, seen: Map<number, string>): ProcessRow[];
export function carriersOf(marker: string): number[];
export function residentBytes(rows: readonly ProcessRow[]): number;
export function proportionalBytes(rows: readonly ProcessRow[]): number;
export function tasksOnMachine(): number | undefined;
