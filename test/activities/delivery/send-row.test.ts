import { expect, test } from '@jest/globals';
import { delayAfter } from '../../../activities/delivery/send-row.js';

test('three quick tries, then ever longer pauses of at most ten minutes', () => {
  expect([1, 2, 3].map(delayAfter)).toEqual([1_000, 2_000, 4_000]);
  expect([4, 5].map(delayAfter)).toEqual([30_000, 60_000]);
  expect(delayAfter(50)).toBe(600_000);
});
