// The contract of a tool: what it is called, what it takes, what a second try may do, and how it runs.
// Built-in tools, and later those of MCP servers and plugins, all have this shape.
import type { z } from 'zod';
import type { EffectClass } from '../../workflows/contract.js';
import type { Workspace } from './workspace.js';

/** What the model reads. A failure is an answer: `failed: true` and a text that begins with `Error` and says cause and remedy. */
export interface ToolResult {
  text: string;
  failed: boolean;
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
  /** Aborted by a stop, by the tool's deadline and by the loss of the attempt's token. */
  signal: AbortSignal;
}

export interface Tool<Input = unknown> {
  name: string;
  description: string;
  /** Schema of the arguments, the source of the JSON schema that the model sees. */
  input: z.ZodType<Input>;
  effect: EffectClass;
  defaultPolicy: 'allow' | 'ask' | 'deny';
  /** The tool's own deadline; the attempt's limit lies above it, so that the tool answers and not the server. */
  timeoutMs: number | ((input: Input) => number);
  /** Reads text from outside: from then on the turn is tainted. */
  taints?: boolean;
  /** Can carry data out of this machine. A GET can, too. */
  leavesMachine?: boolean;
  /** `exec` alone: a further attempt joins the process of the first. */
  attaches?: true;
  /** A quick read of the workspace: runs as a local activity where tools share the turn's queue. */
  local?: true;
  /** A few words for the engine's UI, from what may be shown: a file's name, a program's name. At most 80 characters are kept. */
  summary(input: Input): string;
  /**
   * Throws only for what is worth another try (a broken disk, a lost connection); everything that the model can act on is a
   * result with `failed: true`. Retry: `read` and `idempotent` tools run again with the same key, `once` tools never.
   */
  run(input: Input, context: ToolContext): Promise<ToolResult>;
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
