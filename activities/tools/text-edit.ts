// Finds the place of an edit in a text. Pure. Models quote what they read from memory, so the search goes down a ladder: exactly,
// then line by line without the space at both ends, then the same with typographic quotes made plain. The first rung that hits
// decides, even when it hits more than once: a looser rung would only add places that were not meant.

export interface Hit {
  start: number;
  end: number;
  /** Number of the line where it begins, counted from 1. */
  line: number;
  /** The new text, with the indentation of the place. */
  replacement: string;
}

export interface Hits {
  how: 'exact' | 'indentation ignored' | 'quotes evened' | 'quotes evened, indentation ignored';
  hits: Hit[];
}

export function findHits(text: string, oldText: string, newText: string): Hits {
  const exact = findExact(text, oldText, newText);
  if (exact.length > 0) return { how: 'exact', hits: exact };
  const trimmed = findTrimmed(text, text, oldText, newText);
  if (trimmed.length > 0) return { how: 'indentation ignored', hits: trimmed };
  const plain = evenQuotes(text); // of the same length, so that positions hold
  const plainOld = evenQuotes(oldText);
  const evened = findExact(plain, plainOld, newText);
  if (evened.length > 0) return { how: 'quotes evened', hits: evened };
  return { how: 'quotes evened, indentation ignored', hits: findTrimmed(text, plain, plainOld, newText) };
}

/** `hits` must be in order and not overlap, as `findHits` gives them. */
export function replaceHits(text: string, hits: readonly Hit[]): string {
  let result = '';
  let at = 0;
  for (const { start, end, replacement } of hits) {
    result += text.slice(at, start) + replacement;
    at = end;
  }
  return result + text.slice(at);
}

/** The block that resembles `oldText` most, with line numbers, to be shown when nothing hits. Undefined when nothing resembles it. */
export function nearestBlock(text: string, oldText: string): string | undefined {
  const lines = text.split('\n');
  const oldLines = oldText.replace(/\n$/, '').split('\n');
  // The longest line tells most; all others stand around it.
  const anchor = oldLines.reduce(
    (longest, line, index) => (line.length > (oldLines[longest] ?? '').length ? index : longest),
    0,
  );
  const wanted = wordsOf(oldLines[anchor] ?? '');
  let best = { score: 0, line: 0 };
  for (const [line, candidate] of lines.entries()) {
    const score = likeness(wanted, wordsOf(candidate));
    if (score > best.score) best = { score, line };
  }
  if (best.score < 0.3) return undefined;
  const first = Math.max(0, best.line - anchor);
  const block = lines.slice(first, Math.min(first + oldLines.length, first + 20));
  return block.map((line, index) => `${first + index + 1}| ${line.slice(0, 300)}`).join('\n');
}

function findExact(text: string, oldText: string, newText: string): Hit[] {
  const hits: Hit[] = [];
  let line = 1;
  let counted = 0;
  for (let start = text.indexOf(oldText); start !== -1; start = text.indexOf(oldText, start + oldText.length)) {
    line += countLineEnds(text, counted, start);
    counted = start;
    hits.push({ start, end: start + oldText.length, line, replacement: newText });
  }
  return hits;
}

/** Whole lines of `compared`, a twin of `text` of the same length, that equal those of `oldText` but for the space at both ends. */
function findTrimmed(text: string, compared: string, oldText: string, newText: string): Hit[] {
  const takesLineEnd = oldText.endsWith('\n');
  const oldLines = (takesLineEnd ? oldText.slice(0, -1) : oldText).split('\n');
  const wanted = oldLines.map((line) => line.trim());
  if (wanted.every((line) => line === '')) return []; // would hit every empty line
  const lines = compared.split('\n');
  const starts = [0];
  for (const line of lines) starts.push((starts.at(-1) ?? 0) + line.length + 1);
  const hits: Hit[] = [];
  for (let index = 0; index + wanted.length <= lines.length; ) {
    if (!wanted.every((line, offset) => line === lines[index + offset]?.trim())) {
      index++;
      continue;
    }
    const start = starts[index] ?? 0;
    const next = Math.min(starts[index + wanted.length] ?? 0, text.length + 1);
    const end = Math.min(takesLineEnd ? next : next - 1, text.length);
    const replacement = indentLike(text.slice(start, end), oldLines, newText);
    hits.push({ start, end, line: index + 1, replacement });
    index += wanted.length;
  }
  return hits;
}

/** Moves `newText` from the indentation that the model thought of to the one that the file has. */
function indentLike(found: string, oldLines: readonly string[], newText: string): string {
  const actual = indentOfFirst(found.split('\n'));
  const thought = indentOfFirst(oldLines);
  if (actual === thought) return newText;
  const move = (line: string) => {
    if (line.trim() === '') return line;
    if (line.startsWith(thought)) return actual + line.slice(thought.length);
    const own = indentOf(line);
    return actual.slice(0, Math.max(0, actual.length - (thought.length - own.length))) + line.slice(own.length);
  };
  return newText.split('\n').map(move).join('\n');
}

function indentOfFirst(lines: readonly string[]): string {
  return indentOf(lines.find((line) => line.trim() !== '') ?? '');
}

function indentOf(line: string): string {
  return /^[ \t]*/.exec(line)?.[0] ?? '';
}

function evenQuotes(text: string): string {
  return text.replace(/[“”„«»]/g, '"').replace(/[‘’‚‹›]/g, "'");
}

function countLineEnds(text: string, from: number, to: number): number {
  let count = 0;
  for (let at = text.indexOf('\n', from); at !== -1 && at < to; at = text.indexOf('\n', at + 1)) count++;
  return count;
}

function wordsOf(line: string): Set<string> {
  return new Set(line.slice(0, 1_000).match(/[\p{L}\p{N}_]+/gu) ?? []);
}

function likeness(a: Set<string>, b: Set<string>): number {
  let both = 0;
  for (const word of a) if (b.has(word)) both++;
  return both === 0 ? 0 : (2 * both) / (a.size + b.size);
}
