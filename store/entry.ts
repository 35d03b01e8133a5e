// A row of the transcript, in words that no provider owns. The store keeps it, the context of a request is built from it.

export type EntryPart =
  | { kind: 'text'; text: string }
  | { kind: 'call'; callId: string; tool: string; arguments: string }
  | { kind: 'result'; callId: string; tool: string; text: string; failed: boolean; handle?: string };

export interface Entry {
  id: string;
  turnId: string;
  /** The step that wrote it; null for what came from outside a step. */
  step: number | null;
  /**
   * `person`: a message of a person, a firing, a subagent's brief. `note`: text that joins, as the result of a subagent.
   * `notice`: what durabot itself told the person ("Stopped."), seen by the model as its own words.
   */
  role: 'person' | 'assistant' | 'tool' | 'note' | 'notice';
  parts: EntryPart[];
  /** The block of an earlier reply that its provider wants back untouched, and whose it is. */
  provider?: { name: string; block: unknown } | null;
  sender?: string | null;
  channel?: string | null;
  /** When it was stored, ISO 8601: the model is told this time, never the present one, so that equal rows give equal bytes. */
  at: string;
  /** Estimated once, when it is stored: a long conversation is never counted anew. */
  tokens: number;
}
