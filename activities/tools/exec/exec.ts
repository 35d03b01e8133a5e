// The tool `exec`. A further attempt joins the command of the first: its folder decides, so the command runs at most once.
import { randomUUID } from 'node:crypto';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { defineTool, failure, type Tool, type ToolResult } from '../tool.js';
import { endOrEntomb, followExec, startOrAttach } from './attach.js';
import { execFolder, lookAtExec } from './folder.js';
import type { CommandOrder, ExecLimits, Program } from './job.js';
import { type GitAccess, MountRefused, planMounts, protectedPaths, workingDirIn } from './mounts.js';
import { toResult } from './result.js';
import { isThere, limitArgs, prlimit, type Sandbox, sandboxCommand } from './sandbox.js';

export const defaultExecLimits: ExecLimits = {
  memoryBytes: 2 * 1024 ** 3,
  processes: 256,
  fileBytes: 1024 ** 3,
  openFiles: 256,
  minFreeBytes: 1024 ** 3,
};

export interface ExecToolOptions {
  /** Holds `exec/`, the folders of the calls. */
  dataDir: string;
  /** Asked before each start. Answer from memory once it was ready; an absent one may be installed at any time. */
  sandbox(): Promise<Sandbox>;
  limits?: Partial<ExecLimits>;
  /** For calls that name none. Default 60. */
  timeoutSeconds?: number;
  /** Variables that the owner allows, with their values. Commands see no others but `PATH`, `HOME`, `LANG` and the like. */
  env?: Record<string, string>;
  /** Folders before and after the system's on `PATH`; in the sandbox only what is mounted is found. */
  pathPrepend?: string;
  pathAppend?: string;
  readOnlyBinds?: readonly string[];
  readWriteBinds?: readonly string[];
  /** What of the workspace is read-only for commands. */
  protectedPaths?: readonly string[];
  git?: GitAccess;
}

const input = z.object({
  command: z
    .string()
    .min(1)
    .max(200_000)
    .refine((text) => !text.includes('\0'), 'holds a NUL character')
    .describe('a shell script'),
  working_dir: z.string().optional().describe('a folder of the workspace; default: its root'),
  timeout: z.number().int().min(1).max(1800).optional().describe('seconds after which the command is ended'),
  max_output_chars: z
    .number()
    .int()
    .min(1000)
    .max(50_000)
    .default(10_000)
    .describe('longer output keeps its head and tail'),
  shell: z.enum(['sh', 'bash']).default('sh'),
});
type ExecInput = z.output<typeof input>;

export function createExecTool(options: ExecToolOptions): Tool<ExecInput> {
  const { dataDir, timeoutSeconds = 60 } = options;
  /** Within 2 s; a command that has not begun never will. */
  const end = async (key: string) => toResult(dataDir, key, await endOrEntomb(dataDir, key));

  return defineTool<ExecInput>({
    name: 'exec',
    description:
      'Runs a shell script in a sandbox: the workspace is at /workspace, there is no network, and nothing that it starts ' +
      `outlives it. It is ended after ${timeoutSeconds} s, or after \`timeout\`. AGENTS.md and the like, memory, skills and .git are ` +
      'read-only there. Returns the exit code, stdout and stderr.',
    input,
    effect: 'once',
    attaches: true,
    defaultPolicy: 'allow',
    timeoutMs: ({ timeout = timeoutSeconds }) => timeout * 1000 + 5000, // room for the start, and for the end of a group that ignores SIGTERM
    summary: ({ command }) => `exec ${programOf(command)}`,

    /**
     * Rejects with the signal's reason when that aborts; the command goes on, and whether it shall is for the store to say. After a
     * stop it begins nothing: then it makes the folder itself, and a supervisor that comes late ends.
     */
    async run(call, { key, workspace, signal, mayStart }): Promise<ToolResult> {
      signal.throwIfAborted();
      // Looked at before the arguments are judged: the command itself may have removed its working folder.
      if ((await lookAtExec(dataDir, key)).kind === 'no folder') {
        if (!mayStart) return end(key);
        const order = await orderFor(options, call, { key, workspace: workspace.root });
        if ('failed' in order) return order;
        await startOrAttach(dataDir, key, order);
      }
      return toResult(dataDir, key, await followExec(dataDir, key, signal));
    },

    end: (_call, { key }) => end(key),
  });
}

async function orderFor(
  options: ExecToolOptions,
  call: ExecInput,
  at: { key: string; workspace: string },
): Promise<CommandOrder | ToolResult> {
  const sandbox = await options.sandbox();
  if (sandbox.kind === 'absent') {
    return failure(
      `commands cannot run here: ${sandbox.cause}. Tell the person to ${sandbox.cure}; or, to run commands without a sandbox, to set tools.exec.sandbox to off.`,
    );
  }
  if (process.platform !== 'linux')
    return failure('commands can run on Linux only: run durabot there or in a container.');
  const workingDir = await workingDirIn(at.workspace, call.working_dir ?? '.');
  if (workingDir === undefined)
    return failure(`working_dir ${call.working_dir} is no folder of the workspace. See list_dir.`);

  const limits = { ...defaultExecLimits, ...options.limits };
  const timeLimitMs = (call.timeout ?? options.timeoutSeconds ?? 60) * 1000;
  const marker = randomUUID();
  const commandFile = join(execFolder(options.dataDir, at.key), 'command');
  const common = { workspace: at.workspace, commandFile, workingDir, timeLimitMs, limits, shell: call.shell };
  const order = {
    command: call.command,
    marker,
    timeLimitMs,
    limits,
    workspace: at.workspace,
    maxOutputChars: call.max_output_chars,
  };
  if (sandbox.kind === 'off') {
    return { ...order, program: await plainCommand({ ...common, env: environment(options, marker, homedir()) }) };
  }
  try {
    const mounts = await planMounts({
      workspace: at.workspace,
      dataDir: options.dataDir,
      protectedPaths: options.protectedPaths ?? protectedPaths,
      git: options.git ?? 'read-only',
      readOnlyBinds: options.readOnlyBinds ?? [],
      readWriteBinds: options.readWriteBinds ?? [],
    });
    return {
      ...order,
      program: sandboxCommand({ ...common, sandbox, mounts, env: environment(options, marker, '/tmp') }),
    };
  } catch (error) {
    if (error instanceof MountRefused) return failure(`the command was not run: ${error.message}.`);
    throw error;
  }
}

function environment(
  { pathPrepend, pathAppend, env }: ExecToolOptions,
  marker: string,
  home: string,
): Record<string, string> {
  const path = [pathPrepend, '/usr/local/bin:/usr/bin:/bin', pathAppend].filter(Boolean).join(':');
  return { PATH: path, HOME: home, LANG: 'C.UTF-8', TERM: 'dumb', ...env, DURABOT_EXEC: marker };
}

interface PlainRequest {
  workspace: string;
  commandFile: string;
  workingDir: string;
  timeLimitMs: number;
  limits: ExecLimits;
  shell: string;
  env: Record<string, string>;
}

/** Without a sandbox: the same limits, where the system has `prlimit`, and no walls. */
async function plainCommand({
  workspace,
  commandFile,
  workingDir,
  timeLimitMs,
  limits,
  shell,
  env,
}: PlainRequest): Promise<Program> {
  const script = [`/bin/${shell}`, commandFile];
  const [file = '', ...args] = (await isThere(prlimit))
    ? [prlimit, ...limitArgs(timeLimitMs, limits), ...script]
    : script;
  return { file, args, env, cwd: join(workspace, workingDir) };
}

/** The first program's name and nothing else: what follows it, and variables before it, may be secret. */
function programOf(command: string): string {
  const words = command.trim().split(/\s+/);
  const first = words.find((word) => !/^\w+=/.test(word)) ?? '';
  const name = basename(first);
  return /^[A-Za-z0-9][\w.+-]{0,39}$/.test(name) ? name : 'script';
}
