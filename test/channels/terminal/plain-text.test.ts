import { expect, test } from '@jest/globals';
import { toPlainText } from '../../../channels/terminal/plain-text.js';

const esc = '\u001b';

test.each([
  [`${esc}[31mred${esc}[0m`, 'red'],
  [`${esc}]0;my title\u0007text`, 'text'],
  [`${esc}[2J${esc}[1;1Hat the top`, 'at the top'],
  ['beep\u0007 back\bspace', 'beep backspace'],
  ['over\rwritten', 'overwritten'],
  ['line\r\nline\n\ttab', 'line\nline\n\ttab'],
  ['c1 \u009b31m', 'c1 '],
  ['right \u202eto left', 'right to left'],
  ['Ünïcode 漢字 🎉', 'Ünïcode 漢字 🎉'],
])('%j is shown as %j', (text, shown) => {
  expect(toPlainText(text)).toBe(shown);
});
