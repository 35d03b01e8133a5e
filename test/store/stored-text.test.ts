import { expect, test } from '@jest/globals';
import { toJson, toText } from '../../store/stored-text.js';

test('what PostgreSQL refuses becomes a replacement character, in keys as in values', () => {
  expect(JSON.parse(toJson({ 'a\0': ['half \ud83d', '\udc00 half', 'nul \0'] }))).toEqual({
    'a\ufffd': ['half \ufffd', '\ufffd half', 'nul \ufffd'],
  });
  expect(toText('a\0b')).toBe('a\ufffdb');
});

test('everything else stays as it is', () => {
  const value = {
    path: 'C:\\u0000\\udead',
    quote: '"\\"',
    ansi: '\u001b[1m',
    emoji: '😀',
    lines: 'a\n\tb',
    missing: null,
  };
  expect(JSON.parse(toJson(value))).toEqual(value);
  expect(toJson(undefined)).toBe('null');
});
