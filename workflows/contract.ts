// What crosses between the rooms and the engine: ids, references, small decisions, at most 4 KB a payload.
// A person's words, a call's arguments and results stay in the store. This file imports nothing of ours.

/** `answered` and `limit` are written by the step that ends the turn, `stopped` and `failed` by `closeTurn`. */
export type TurnOutcome = 'answered' | 'stopped' | 'failed' | 'limit';

/** `turnId` is `<conversation>-<seq>`: it names a folder too, so it holds no slash. */
export interface TurnRef {
  turnId: string;
}

export interface StepRef extends TurnRef {
  /** Counted from 1. Limits are judged where the step opens, from the turn's row. */
  step: number;
}

export interface CallRef extends TurnRef {
  /** `s<step>.c<n>`: ours, never the provider's, which repeats its own. */
  callId: string;
}

/**
 * What a second try may do. `read`: run again freely. `idempotent`: run again under the same key, takes effect once.
 * `once`: never again; an interrupted one is reported as "may have happened".
 */
export type EffectClass = 'read' | 'idempotent' | 'once';

/** A call as the engine may see it. Never its arguments: the tool makes `summary` from what it may show. */
export interface PlannedCall {
  callId: string;
  tool: string;
  effect: EffectClass;
  decision: 'allow' | 'ask' | 'deny';
  timeoutMs: number;
  /** At most 80 characters, redacted: "read_file notes.md". */
  summary: string;
  argsHash?: string;
  expiresAt?: string;
  /** `exec`: a further attempt joins the process of the first, so there may be 20. */
  attaches?: true;
  /** A read of the workspace that runs as a local activity: only where tools share the turn's queue. */
  local?: true;
  /** `spawn`: the child's row was written with the plan and fixes its workflow id. */
  child?: { turnId: string; workflowId: string; wait: boolean };
}

/**
 * `open`: carry out `calls`, then the next step. `answered`, `limit`: this step has closed the turn and filled the outbox.
 * `stopped`: the turn carries a stop mark or is closed; `closeTurn` returns what stands. `superseded`: another run owns the turn.
 */
export interface StepResult {
  state: 'open' | 'answered' | 'limit' | 'stopped' | 'superseded';
  calls: PlannedCall[];
}

/** What became of a call. `unknown`: it may have happened. */
export interface CallOutcome {
  outcome: 'done' | 'failed' | 'unknown' | 'not run';
  bytes: number;
  tainted: boolean;
}

/** A turn whose run is to be started. Its row names the run; nobody builds that id anew. */
export interface StartableTurn extends TurnRef {
  owner: string;
  kind: 'chat' | 'subagent' | 'job';
  conversationId: string;
  channel: string;
  /** How long the run sleeps before its first step. */
  delayMs: number;
}

/** The engine as the other rooms see it. Every method may be repeated; each rejects when the engine cannot be reached. */
export interface Engine {
  /** Resolves also when the run exists already. */
  startTurn(turn: StartableTurn): Promise<void>;
  /** A run that is unknown or has ended is no error. */
  cancel(workflowId: string): Promise<void>;
  terminate(workflowId: string, reason: string): Promise<void>;
  describe(workflowId: string): Promise<'open' | 'closed' | 'unknown'>;
  wakeDelivery(destination: string): Promise<void>;
  wakeReconcile(): Promise<void>;
}

export const taskQueue = 'durabot';

export const searchAttributeNames = [
  'durabotConversation',
  'durabotChannel',
  'durabotOutcome',
  'durabotJob',
  'durabotModel',
] as const;
