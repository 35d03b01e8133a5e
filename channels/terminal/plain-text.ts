import { stripVTControlCharacters } from 'node:util';

// Titles, links and other strings for the terminal, from ESC ] and its kin to their end: Node's own takes only their beginning.
const [esc, bell] = ['\\u001b', '\\u0007'];
const strings = new RegExp(`${esc}[\\]PX^_][^${bell}${esc}]*(?:${bell}|${esc}\\\\)?`, 'g');
// Everything but tab and line feed, and the marks that reverse the direction of what is shown.
const controls = /(?![\t\n])[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu;

/** Text of a model on its way to a terminal: whatever it holds, it must not move the cursor, set the title or type in our name. */
export function toPlainText(text: string): string {
  return stripVTControlCharacters(text.replaceAll('\r\n', '\n').replace(strings, '')).replace(controls, '');
}
