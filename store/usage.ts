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

/** A statement that books usage given as JSON, once for each token. `parameter`: "$1". */
export function bookUsageSql(parameter: string): string {
  return `insert into usage (token, turn_id, root_turn_id, step, provider, model, requests, input_tokens, output_tokens,
      cached_tokens, reasoning_tokens, cost_micros, estimated, recorded, first_token_ms)
    select "token", "turnId", "rootTurnId", "step", "provider", "model", "requests", "inputTokens", "outputTokens",
      "cachedTokens", "reasoningTokens", "costMicros", "estimated", "recorded", "firstTokenMs"
    from jsonb_to_record(${parameter}::jsonb) as u("token" text, "turnId" text, "rootTurnId" text, "step" int, "provider" text,
      "model" text, "requests" int, "inputTokens" int, "outputTokens" int, "cachedTokens" int, "reasoningTokens" int,
      "costMicros" bigint, "estimated" boolean, "recorded" boolean, "firstTokenMs" int)
    on conflict (token) do nothing`;
}

export async function bookUsage(client: Client, usage: UsageRow): Promise<void> {
  await client.query({ name: 'book-usage', text: bookUsageSql('$1'), values: [JSON.stringify(usage)] });
}
