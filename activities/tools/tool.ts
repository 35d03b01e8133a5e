// The contract of a tool: what it is called, what it takes, what a second try may do, and how it runs.
// Built-in tools, and later those of MCP servers and plugins, all have this shape.
import type { z } from 'zod';
import type { Brief } from '../../store/children.js';
import type { EffectClass } from '../../workflows/contract.js';
import type { Workspace } from './workspace.js';

/** What the model reads. A failure is an answer: `failed: true` and a text that begins with `Error` and says cause and remedy. */
export interface ToolResult {
  text: string;
  failed: boolean;
  /** `exec` alone: what its folder says when no result can be had. `unknown`: it may have happened. */
  outcome?: 'unknown' | 'not run';
}

/** A stored result that is too large for the model, read by its handle `result:<turn>/<call>`. */
export interface StoredResults {
  /** Resolves to the whole text, or undefined when this conversation holds no such result. */
  find(handle: string): Promise<string | undefined>;
}

export interface ToolContext {
  turnId: string;
  callId: string;
  /** `<turn>/<callId>`: the key that a receiver may fold. The same on every attempt. */
  key: string;
  workspace: Workspace;
  results: StoredResults;
  /** False after a stop: an attaching tool may join what runs, and begins nothing. */
  mayStart: boolean;
  /** Aborted by a stop, by the tool's deadline and by the loss of the attempt's token. */
  signal: AbortSignal;
  /** What an earlier attempt of this call remembered last; undefined on the first attempt, or when none did. */
  remembered: unknown;
  /**
   * Keeps a small JSON value (2 KB at most) with the call's row, for later attempts of the same call; a second value replaces the
   * first. Resolves once it is durable, so what a tool does next finds it after a crash. Rejects when this attempt no longer holds
   * the call: then it must do nothing more.
   */
  remember(value: unknown): Promise<void>;
}

/** Written as a method, so that a `Tool<Input>` is a `Tool` like its `run`. */
type TimeoutOf<Input> = { of(input: Input): number }['of'];

export interface Tool<Input = unknown> {
  name: string;
  description: string;
  /** Schema of the arguments, the source of the JSON schema that the model sees. */
  input: z.ZodType<Input>;
  effect: EffectClass;
  defaultPolicy: 'allow' | 'ask' | 'deny';
  /** The tool's own deadline; the attempt's limit lies above it, so that the tool answers and not the server. */
  timeoutMs: number | TimeoutOf<Input>;
  /** Reads text from outside: from then on the turn is tainted. */
  taints?: boolean;
  /** Can carry data out of this machine. A GET can, too. */
  leavesMachine?: boolean;
  /** `exec` alone: a further attempt joins the process of the first. */
  attaches?: true;
  /** A quick read of the workspace: runs as a local activity where tools share the turn's queue. */
  local?: true;
  /** Cuts its own results and says how to go on: they reach the model whole. */
  pages?: true;
  /** `spawn` alone: the call is a subagent with this brief, whose row is written with the plan. */
  brief?(input: Input): Brief;
  /** A few words for the engine's UI, from what may be shown: a file's name, a program's name. At most 80 characters are kept. */
  summary(input: Input): string;
  /**
   * Throws only for what is worth another try (a broken disk, a lost connection); everything that the model can act on is a
   * result with `failed: true`. Retry: `read` and `idempotent` tools run again with the same key, `once` tools never.
   */
  run(input: Input, context: ToolContext): Promise<ToolResult>;
  /** `exec` alone: a stop ends what runs under this call's key, and the result says how far it came. */
  end?(input: Input, context: ToolContext): Promise<ToolResult>;
  /** A `once` tool that can look up what became of an interrupted call. */
  reconcile?(key: string): Promise<'happened' | 'cannot tell'>;
}

/** Keeps the type of the arguments between `input` and `run`. */
export function defineTool<Input>(tool: Tool<Input>): Tool<Input> {
  return tool;
}

/** A result that the model can act on. `message` says cause and remedy and is written without the leading `Error:`. */
export function failure(message: string): ToolResult {
  return { text: `Error: ${message}`, failed: true };
}

export function success(text: string): ToolResult {
  return { text, failed: false };
}
