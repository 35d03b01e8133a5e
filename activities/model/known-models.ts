// What is known of models without asking: how much fits, what a million tokens cost. Everything else is null: an unknown price
// is shown as unknown, never as free. Read on 2026-11-24; prices change, the provider's page is what counts.
//   OpenAI   https://developers.openai.com/api/docs/pricing, https://developers.openai.com/api/docs/models
//   DeepSeek https://api-docs.deepseek.com/quick_start/pricing (priced by the hour of the day, so no price here)
//   Google   https://ai.google.dev/gemini-api/docs/models (priced in tiers and for a time, so no price here)
import type { ModelPrice } from './model.js';

export interface KnownModel {
  windowTokens: number | null;
  price: ModelPrice | null;
}

const unknownModel: KnownModel = { windowTokens: null, price: null };

/** US dollars for a million tokens: read, read from the cache, written. */
const usd = (input: number, cached: number, output: number): ModelPrice => ({
  inputMicros: Math.round(input * 1_000_000),
  cachedMicros: Math.round(cached * 1_000_000),
  outputMicros: Math.round(output * 1_000_000),
});

/** Prices hold at the vendor itself; a gateway has its own. */
const openaiModels: Record<string, KnownModel> = {
  'gpt-5.4': { windowTokens: null, price: usd(2.5, 0.25, 15) },
  'gpt-5.4-mini': { windowTokens: 400_000, price: usd(0.75, 0.075, 4.5) },
  'gpt-5.4-nano': { windowTokens: 400_000, price: usd(0.2, 0.02, 1.25) },
  'gpt-5': { windowTokens: 400_000, price: usd(1.25, 0.125, 10) },
  'gpt-5-mini': { windowTokens: 400_000, price: usd(0.25, 0.025, 2) },
  'gpt-4.1': { windowTokens: 1_047_576, price: usd(2, 0.5, 8) },
  'gpt-4o': { windowTokens: 128_000, price: usd(2.5, 1.25, 10) },
  'gpt-4o-mini': { windowTokens: 128_000, price: usd(0.15, 0.075, 0.6) },
};

/** Ollama cuts what does not fit without a word, and its own default window is small. */
const ollamaWindowTokens = 32_768;
const families: [name: RegExp, windowTokens: number][] = [
  [/^deepseek-(?:v4|flash)/, 1_000_000],
  [/^gemini-(?:2\.5|3)/, 1_048_576],
];

export function knownModel(provider: string, model: string): KnownModel {
  if (provider === 'demo') return { windowTokens: 128_000, price: usd(0, 0, 0) };
  if (provider === 'ollama') return { windowTokens: ollamaWindowTokens, price: usd(0, 0, 0) };
  const bare = (model.split('/').at(-1) ?? model).replace(/-\d{4}-?\d{2}-?\d{2}$/, ''); // a date names the same model
  const known = openaiModels[bare];
  if (known) return provider === 'openai' ? known : { ...known, price: null };
  const family = families.find(([name]) => name.test(bare));
  return family ? { windowTokens: family[1], price: null } : unknownModel;
}
