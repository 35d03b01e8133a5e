// What the store is handed by workers/: pure functions of other rooms that its transactions need, and the limits of a turn.
import type { TurnOutcome } from '../workflows/contract.js';
import type { TurnLimits } from './rows.js';
import type { Database } from './transaction.js';

export interface NoticeFacts {
  outcome: Exclude<TurnOutcome, 'answered'>;
  /** The failure's type, `ModelKeyRejected`, or a reason given by the closer. */
  reason: string | null;
  /** Texts of the messages that were waiting and belong to the stopped turn. */
  waiting: string[];
}

export interface StoreDeps extends Database {
  /** Channels whose replies are visible as soon as they stand in the transcript. */
  transcriptChannels: readonly string[];
  limits: { chat: TurnLimits; subagent: TurnLimits; childrenAtOnce: number };
  estimateTokens(text: string): number;
  /** The one plain sentence that ends a turn without an answer. */
  notice(facts: NoticeFacts): string;
  /** Cuts a reply into the parts that a channel can carry. */
  split(channel: string, text: string): string[];
}
