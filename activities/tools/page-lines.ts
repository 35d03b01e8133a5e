// Cuts one page of whole lines out of a text that comes in pieces, and counts all lines. It holds the page, never the text.

export interface Page {
  text: string;
  /** Numbers of the first and last line on the page, counted from 1; `last` lies before `first` when the text ends sooner. */
  first: number;
  last: number;
  total: number;
  /** The only line on the page was too long and is cut. */
  isCut: boolean;
}

export interface PageLimits {
  offset: number;
  limit: number;
  maxChars: number;
}

export async function pageLines(
  pieces: AsyncIterable<string> | Iterable<string>,
  { offset, limit, maxChars }: PageLimits,
): Promise<Page> {
  let text = '';
  let line = 1;
  let lineStart = 0; // where the current line begins in `text`
  let last = offset - 1; // the last line that stands on the page whole
  let isFull = false;
  let isCut = false;
  let endsOpen = false; // the last line has no line end

  function take(part: string): void {
    if (isFull || line < offset) return;
    if (line >= offset + limit) {
      isFull = true;
    } else if (text.length + part.length <= maxChars) {
      text += part;
      last = line;
    } else {
      isFull = true;
      isCut = lineStart === 0;
      last = isCut ? line : line - 1;
      text = isCut ? (text + part).slice(0, maxChars).toWellFormed() : text.slice(0, lineStart);
    }
  }

  for await (const piece of pieces) {
    for (let at = 0; at < piece.length; ) {
      const lineEnd = piece.indexOf('\n', at);
      const end = lineEnd === -1 ? piece.length : lineEnd + 1;
      take(piece.slice(at, end));
      endsOpen = lineEnd === -1;
      if (!endsOpen) {
        line++;
        lineStart = text.length;
      }
      at = end;
    }
  }
  const total = endsOpen ? line : line - 1;
  return { text, first: offset, last: Math.min(last, total), total, isCut };
}
