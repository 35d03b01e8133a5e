// How large a text is for a model. An estimate: other vendors' tokenizers differ by 10 to 30 % from the one used here,
// so budgets keep a distance from the window.
import { createRequire } from 'node:module';
import type { EntryPart } from '../../store/entry.js';

const maxCountedBytes = 200_000;
/** Role, separators and the ids of a message, on top of its text. */
const messageOverheadTokens = 6;
const callOverheadTokens = 12;

// The encoder is quadratic in one unbroken run, of letters, of blanks or of dashes: 50,000 × "a" took it 3 seconds.
// So a long run is broken first. Each break costs a token or two.
const longRun = /\S{500}(?=\S)|\s{500}(?=\s)/g;
const breakRun = (run: string) => (run.trim() === '' ? `${run}.` : `${run} `);

type CountTokens = (text: string, options: { disallowedSpecial: Set<string> }) => number;
const require = createRequire(import.meta.url);

// Loaded with the first count and kept by Node: the ranks take 0.3 s and 65 MB, which a command that counts nothing is spared.
function encoder(): CountTokens {
  return (require('gpt-tokenizer/encoding/o200k_base') as { countTokens: CountTokens }).countTokens;
}

/** Never throws, and takes at most about 50 ms whatever the text holds: beyond 200 kB it is a third of the bytes. */
export function estimateTokens(text: string): number {
  if (text === '') return 0;
  const bytes = text.length > maxCountedBytes / 4 ? Buffer.byteLength(text) : 0;
  if (bytes > maxCountedBytes) return Math.ceil(bytes / 3);
  const broken = text.length > 500 ? text.replace(longRun, breakRun) : text;
  // A text may quote "<|endoftext|>": an empty set of forbidden specials lets it pass.
  return encoder()(broken, { disallowedSpecial: new Set() });
}

/** The tokens of an entry, to be stored with it. What a provider's own block adds is counted where it is sent. */
export function tokensOfParts(parts: readonly EntryPart[]): number {
  return parts.reduce((sum, part) => sum + tokensOfPart(part), messageOverheadTokens);
}

function tokensOfPart(part: EntryPart): number {
  switch (part.kind) {
    case 'text':
      return estimateTokens(part.text);
    case 'call':
      return callOverheadTokens + estimateTokens(part.tool) + estimateTokens(part.arguments);
    case 'result':
      return callOverheadTokens + estimateTokens(part.text);
    default:
      return part satisfies never;
  }
}

/** Counts what stays the same from step to step, the system prompt and the tool list, once. Keeps the last 16 texts. */
export function createTokenCounter(count: (text: string) => number = estimateTokens): (text: string) => number {
  const known = new Map<string, number>();
  return (text) => {
    const tokens = known.get(text) ?? count(text);
    known.delete(text);
    known.set(text, tokens);
    for (const oldest of known.keys()) {
      if (known.size <= 16) break;
      known.delete(oldest);
    }
    return tokens;
  };
}
