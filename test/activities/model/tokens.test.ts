import { expect, test } from '@jest/globals';
import { createTokenCounter, estimateTokens, tokensOfParts } from '../../../activities/model/tokens.js';

test('plain words are counted as the encoding has them', () => {
  expect(estimateTokens('')).toBe(0);
  expect(estimateTokens('The quick brown fox jumps over the lazy dog.')).toBe(10);
});

test('a special token in a text is only text', () => {
  expect(estimateTokens('<|endoftext|>')).toBeGreaterThan(1);
});

// Unguarded these take seconds each; the work per character is what is looked at, not the clock.
test.each([
  ['letters', 'a'],
  ['blanks', ' '],
  ['dashes', '-'],
  ['Chinese', '中'],
])('50,000 %s without a break are cut before they are encoded', (_name, character) => {
  const broken = Array.from({ length: 100 }, () => character.repeat(500)).join(character.trim() ? ' ' : '.');
  expect(estimateTokens(character.repeat(50_000))).toBeGreaterThanOrEqual(estimateTokens(broken) - 100);
  expect(estimateTokens(character.repeat(50_000))).toBeLessThanOrEqual(estimateTokens(broken) + 200);
});

test('beyond 200 kB the bytes are counted instead', () => {
  expect(estimateTokens('word '.repeat(60_000))).toBe(100_000);
  expect(estimateTokens('中'.repeat(100_000))).toBe(100_000);
});

test('an entry counts its texts, its calls and its results', () => {
  const text = tokensOfParts([{ kind: 'text', text: 'hello' }]);
  const call = { kind: 'call' as const, callId: 's1.c1', tool: 'read_file', arguments: '{"path":"a.md"}' };
  expect(tokensOfParts([{ kind: 'text', text: 'hello' }, call])).toBeGreaterThan(text + 10);
});

test('what was counted once is not counted again', () => {
  let counted = 0;
  const count = createTokenCounter(() => ++counted);
  expect([count('system'), count('tools'), count('system')]).toEqual([1, 2, 1]);
  for (let i = 0; i < 16; i++) count(`other ${i}`);
  expect(count('tools')).toBe(19);
});
