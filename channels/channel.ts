// The contract of a channel. It knows its platform and nothing of models; it acknowledges only after `accept` has resolved.
import type { Accepted, Incoming } from '../store/conversations.js';
import type { ClaimedRow, Destination } from '../store/outbox.js';

export type { Accepted, ClaimedRow, Destination, Incoming };
export type Accept = (incoming: Incoming) => Promise<Accepted>;

/** What the platform says of a message that it took: its ids there. */
export type Receipt = Record<string, unknown>;

export interface Channel {
  name: string;
  limits: { maxChars: number };
  /** Begins to receive; resolves once it does. Only a gateway calls this. */
  start(accept: Accept): Promise<void>;
  stop(): Promise<void>;
  /**
   * Sends one part. `repeat`: it may have been sent before; the text is to say so. `key` is the same for every try of this part, for
   * platforms that fold equal keys. Rejects with `NotSent` when it was surely not sent; any other rejection means "may have been".
   */
  send(
    destination: Destination,
    part: { text: string; key: string; repeat: boolean },
    signal: AbortSignal,
  ): Promise<Receipt>;
  /** Takes a message back that turned out to be a double. */
  remove?(destination: Destination, receipt: Receipt): Promise<void>;
  /** Looks for a part that may have been sent. Undefined: it is not there. A channel without this cannot look. */
  find?(destination: Destination, key: string): Promise<Receipt | undefined>;
  /** What to do where nobody can tell: a lost answer usually costs more than a second copy. */
  whenUnknown: 'prefer duplicate' | 'prefer silence';
}

/** Surely not sent: refused before the platform took it. `permanent`: trying again is of no use (blocked, chat gone). */
export class NotSent extends Error {
  readonly retryAfterMs: number | undefined;
  readonly permanent: boolean;
  /** The channel as a whole is down or asks for patience: no fault of this message. */
  readonly channelDown: boolean;
  constructor(message: string, facts: { retryAfterMs?: number; permanent?: boolean; channelDown?: boolean } = {}) {
    super(message);
    this.name = 'NotSent';
    this.retryAfterMs = facts.retryAfterMs;
    this.permanent = facts.permanent ?? false;
    this.channelDown = facts.channelDown ?? false;
  }
}
