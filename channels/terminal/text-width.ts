// How much room text takes on a terminal. An estimate by character classes: a terminal that disagrees shows a line a cell longer.
import { stripVTControlCharacters } from 'node:util';

const segmenter = new Intl.Segmenter('en', { granularity: 'grapheme' });
const wide =
  /\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|[\u{20000}-\u{3fffd}]/u;
const ascii = /^[\x20-\x7e]*$/;

export function widthOf(text: string): number {
  const bare = stripVTControlCharacters(text);
  if (ascii.test(bare)) return bare.length;
  let width = 0;
  for (const { segment } of segmenter.segment(bare)) width += segment === '\t' ? 8 : wide.test(segment) ? 2 : 1;
  return width;
}

/** Rows that a line takes when the terminal wraps it. */
export function rowsOf(line: string, columns: number): number {
  return Math.max(1, Math.ceil(widthOf(line) / columns));
}

/** The end of a text in at most `maxRows` rows of plain characters: what is still being written. */
export function tailRows(text: string, columns: number, maxRows: number): string[] {
  const rows: string[] = [];
  for (const line of text.split('\n')) {
    let row = '';
    let width = 0;
    for (const { segment } of segmenter.segment(line.replaceAll('\t', '    '))) {
      const cells = wide.test(segment) ? 2 : 1;
      if (width + cells > columns) {
        rows.push(row);
        row = '';
        width = 0;
      }
      row += segment;
      width += cells;
    }
    rows.push(row);
  }
  return rows.slice(-maxRows);
}
