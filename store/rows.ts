// Shapes that the store's families share, and the ids that are made from what they identify.
import type { TurnOutcome } from '../workflows/contract.js';

/** Who makes one try at an activity. `number` orders the attempts of one run and nothing else; `token` fences what they write. */
export interface Attempt {
  token: string;
  workflowId: string;
  runId: string;
  number: number;
}

/** What a person or a program may set for one turn; it wins over the configuration. */
export interface TurnSettings {
  model?: string;
  maxTokens?: number;
  temperature?: number;
  system?: string;
  /** Names of the tools that a subagent may use; all when absent. */
  tools?: string[];
}

/** Kept in the turn's row when it is claimed. Judged where a step opens; `null` is no limit. */
export interface TurnLimits {
  steps: number;
  workMs: number;
  tokens: number;
  costMicros: number | null;
}

export type TurnKind = 'chat' | 'subagent' | 'job';
export type TurnState = 'claimed' | 'running' | TurnOutcome;

/** A turn that needs its run: `start` is what follows the commit, and is repeated by whoever finds the commit done. */
export interface ClaimedTurn {
  turnId: string;
  owner: string;
  kind: TurnKind;
  conversationId: string;
  channel: string;
  /** How long the run sleeps before its first step. */
  delayMs: number;
}

export interface StopTarget {
  turnId: string;
  owner: string;
}

export interface TurnRow {
  id: string;
  conversationId: string;
  seq: number;
  kind: TurnKind;
  state: TurnState;
  owner: string;
  personId: string;
  addressId: string | null;
  settings: TurnSettings;
  limits: TurnLimits;
  rootTurnId: string;
  parentTurnId: string | null;
  parentCallId: string | null;
  waited: boolean;
  depth: number;
  label: string | null;
  markPosition: string | null;
  openStep: number | null;
  openToken: string | null;
  openRunId: string | null;
  openAttempt: number | null;
  tainted: boolean;
  steps: number;
  refusals: number;
  reason: string | null;
}

export const turnColumns = `t.id, t.conversation_id as "conversationId", t.seq, t.kind, t.state, t.owner, t.person_id as "personId",
  t.address_id as "addressId", t.settings, t.limits, t.root_turn_id as "rootTurnId", t.parent_turn_id as "parentTurnId",
  t.parent_call_id as "parentCallId", t.waited, t.depth, t.label, t.mark_position as "markPosition", t.open_step as "openStep",
  t.open_token as "openToken", t.open_run_id as "openRunId", t.open_attempt as "openAttempt", t.tainted, t.steps, t.refusals,
  t.reason`;

export function toTurnId(conversationId: string, seq: number): string {
  return `${conversationId}-${seq}`;
}

export function conversationOf(turnId: string): string {
  return turnId.slice(0, turnId.lastIndexOf('-'));
}

/** The id of the run that a turn begins with, and of the new owner when the engine does not know the old one. */
export function toOwner(turnId: string): string {
  const cut = turnId.lastIndexOf('-');
  return `turn/${turnId.slice(0, cut)}/${turnId.slice(cut + 1)}`;
}

export function isOpen(state: TurnState): boolean {
  return state === 'claimed' || state === 'running';
}

/**
 * Nothing is wrong, it is not time yet: the attempt fails retryably and Temporal comes again after `delayMs`.
 * `Overtaken`: a later attempt has this work. `Paused`, `Busy`: the person's pause, four siblings that run.
 */
export class NotNow extends Error {
  readonly type: 'Overtaken' | 'Paused' | 'Busy' | 'StillRunning' | 'DestinationBusy';
  readonly delayMs: number;
  constructor(type: NotNow['type'], message: string, delayMs: number) {
    super(message);
    this.name = 'NotNow';
    this.type = type;
    this.delayMs = delayMs;
  }
}

export function overtaken(message: string): NotNow {
  return new NotNow('Overtaken', message, 100);
}
