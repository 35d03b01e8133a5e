import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { splitText } from '../../channels/split-text.js';

test.each([
  ['short', ['short']],
  ['', ['']],
  ['first part\n\nsecond', ['first part', 'second']],
  ['one line\ntwo lines', ['one line', 'two lines']],
  ['words and more words', ['words and', 'more words']],
  ['aaaaaaaaaaaaaaaaaa', ['aaaaaaaaaaaa', 'aaaaaa']],
  ['aaaaaaaaaaa🎉b', ['aaaaaaaaaaa', '🎉b']],
])('%j is cut where it hurts least', (text, parts) => {
  expect(splitText(text, 12)).toEqual(parts);
});

test('no part is too long, none holds half a character, and nothing but blanks is lost', () => {
  const text = fc.string({ unit: fc.constantFrom('a', ' ', '\n', '🎉', 'é'), maxLength: 200 });
  fc.assert(
    fc.property(text, fc.integer({ min: 2, max: 30 }), (whole, maxChars) => {
      const parts = splitText(whole, maxChars);
      expect(parts.every((part) => part.length <= maxChars && part.isWellFormed())).toBe(true);
      expect(parts.join('').replace(/\s/g, '')).toBe(whole.replace(/\s/g, ''));
    }),
  );
});
