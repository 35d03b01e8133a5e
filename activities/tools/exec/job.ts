// What a supervisor is told, on its standard input and never on its command line, which everybody on the machine can read.

export interface ExecLimits {
  /** Of all processes of the command together. */
  memoryBytes: number;
  /** How many may run at once. */
  processes: number;
  /** The largest file that the command may write. */
  fileBytes: number;
  openFiles: number;
  /** Space that must stay free where the workspace lies; a command that eats into it is ended. */
  minFreeBytes: number;
}

/** How to start the command: `/bin/sh <command file>`, in a sandbox or not. */
export interface Program {
  file: string;
  /** Handed over by a descriptor (`--args`), so that neither names of folders nor variables stand in the process list. Sandbox only. */
  hiddenArgs?: string[];
  args: string[];
  env: Record<string, string>;
  cwd: string;
}

export interface CommandOrder {
  /** Text of the shell script. Kept in the call's folder while it runs. */
  command: string;
  program: Program;
  /** Value of `DURABOT_EXEC` in the command's environment: what is left of it is found by this. */
  marker: string;
  timeLimitMs: number;
  limits: ExecLimits;
  /** Folder whose disk is watched. */
  workspace: string;
  maxOutputChars: number;
}

export interface Job extends CommandOrder {
  /** The call's folder. It is made by the supervisor: who finds it made starts nothing. */
  folder: string;
}
