import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createVisibleText, repairText } from '../../../activities/model/visible-text.js';

function show(pieces: readonly string[]): string {
  const visible = createVisibleText();
  return pieces.map((piece) => visible.push(piece)).join('') + visible.end();
}

test.each([
  ['a thought in front is hidden', '<think>hm, milk</think>\n\nMilk.', 'Milk.'],
  ['a thought in the middle is hidden', 'First <think>and?</think> second', 'First second'],
  ['an unclosed thought is hidden to its end', 'So: <think>is it Tuesday', 'So: '],
  ['a closing tag alone is hidden', 'thus</think> done', 'thusdone'],
  ['a tag that never comes about is text', 'if a <thi', 'if a <thi'],
  ['blanks in front stay where no thought was', ' and more', ' and more'],
])('%s, wherever the pieces begin', (_claim, text, visible) => {
  fc.assert(
    fc.property(fc.array(fc.nat(text.length), { maxLength: 8 }), (cuts) => {
      const at = [0, ...cuts.sort((a, b) => a - b), text.length];
      const pieces = at.slice(1).map((end, i) => text.slice(at[i], end));
      expect(show(pieces)).toBe(visible);
    }),
  );
});

test('a character that comes in two halves is shown once and whole', () => {
  const visible = createVisibleText();
  expect(visible.push('good \ud83d')).toBe('good ');
  expect(visible.push('\ude00')).toBe('😀');
});

test('half characters and NUL are replaced, whole ones stay', () => {
  expect(repairText('a\ud83db😀\0')).toBe('a\ufffdb😀\ufffd');
  expect(show(['a\ud83d', 'b'])).toBe('a\ufffdb');
});
