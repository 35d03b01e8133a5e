export interface ProcessIdentity {
  pid: number;
  /** `unknown` where the system cannot say; otherwise a word that no second process of the same pid shares. */
  startedAt: string;
}
/** Is there such a process? A zombie counts as gone. */
export function isAlive(pid: number): Promise<boolean>;
/** The command line, as one string with spaces; undefined when there is no such process. */
export function commandLineOf(pid: number): Promise<string | undefined>;
export function identityOf(pid: number): Promise<ProcessIdentity>;
export function isSameProcess(identity: ProcessIdentity): Promise<boolean>;
