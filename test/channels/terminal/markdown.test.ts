import { expect, test } from '@jest/globals';
import { renderMarkdown, wholeBlocks } from '../../../channels/terminal/markdown.js';

const plain = (_format: unknown, text: string) => text;

test('markdown is shown without its marks, and its blocks keep their distance', () => {
  const text = [
    '# Title',
    '',
    'Hello **bold** and `code`, [a link](https://x.y).',
    'Second line',
    '',
    '- one',
    '- two',
    '  - nested',
    '- [x] done',
    '',
    '3. c',
    '4. d',
    '',
    '```js',
    'const a = 1;',
    '```',
    '',
    '> quoted',
    '> twice',
    '',
    '| a | b |',
    '|---|---|',
    '| longer | x |',
  ].join('\n');
  expect(renderMarkdown(text, plain)).toBe(
    [
      'Title',
      '',
      'Hello bold and code, a link (https://x.y).',
      'Second line',
      '',
      '• one',
      '• two',
      '  • nested',
      '• [x] done',
      '',
      '3. c',
      '4. d',
      '',
      '    const a = 1;',
      '',
      '│ quoted',
      '│ twice',
      '',
      'a       b',
      '──────  ─',
      'longer  x',
    ].join('\n'),
  );
});

test('what is no markdown is shown as it was written', () => {
  const text = 'a < b <b>x</b> 2 * 3 * 4 snake_case_word $HOME';
  expect(renderMarkdown(text, plain)).toBe(text);
});

test.each([
  ['One paragraph that is still', 0],
  ['Whole.\n\nStill wri', 8],
  ['Whole.\n\n- one\n- tw', 8],
  ['- one\n  -', 0],
  ['- one\n\n', 0],
  ['```js\nconst a', 0],
  ['```js\nconst a\n\n', 0],
  ['```js\nconst a\n```\n\nNow', 19],
])('of %j the first %i characters are whole blocks', (text, length) => {
  expect(wholeBlocks(text)).toBe(length);
});
