import { expect, test } from '@jest/globals';
import { byDistance, nearest } from '../../workers/settings/nearest.js';

test.each([
  ['stauts', ['start', 'status', 'stop'], 'status'],
  ['stat', ['stop', 'status', 'quit'], 'status'],
  ['modl', ['model', 'mode'], 'model'],
  ['MAX_TOKENS', ['maxTokens'], 'maxTokens'],
  ['zebra', ['model', 'quit'], undefined],
])('%s means %s', (word, known, meant) => {
  expect(nearest(word, known)).toBe(meant);
});

test('a letter that stands for nothing means nothing', () => {
  expect(nearest('x', ['model', 'y'])).toBeUndefined();
});

test('all names come in the order of their likeness', () => {
  expect(byDistance('shoping', ['cli', 'shop', 'shopping'])).toEqual(['shopping', 'shop', 'cli']);
});
