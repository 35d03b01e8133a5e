// What model calls cost. Booked once for each opening's token: an answer that was dropped was paid, too.
import type { Client } from './pool.js';

export interface BookedUsage {
  provider: string;
  model: string;
  /** Requests that made this one answer: continuations and repeated tries of an empty answer are several. */
  requests: number;
  inputTokens: number;
  outputTokens: number;
  cachedTokens: number;
  reasoningTokens: number;
  /** Micro-USD; null where the price is not known. */
  costMicros: number | null;
  /** The provider reported nothing: counted by our own estimate. */
  estimated: boolean;
}

export interface UsageRow extends BookedUsage {
  token: string;
  turnId: string;
  rootTurnId: string;
  step: number;
  recorded: boolean;
  firstTokenMs: number | null;
}

export async function bookUsage(client: Client, usage: UsageRow): Promise<void> {
  await client.query({
    name: 'book-usage',
    text: `insert into usage (token, turn_id, root_turn_id, step, provider, model, requests, input_tokens, output_tokens,
        cached_tokens, reasoning_tokens, cost_micros, estimated, recorded, first_token_ms)
      values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) on conflict (token) do nothing`,
    values: [
      usage.token,
      usage.turnId,
      usage.rootTurnId,
      usage.step,
      usage.provider,
      usage.model,
      usage.requests,
      usage.inputTokens,
      usage.outputTokens,
      usage.cachedTokens,
      usage.reasoningTokens,
      usage.costMicros,
      usage.estimated,
      usage.recorded,
      usage.firstTokenMs,
    ],
  });
}
