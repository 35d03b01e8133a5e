// What of a model's text a person may see: without <think> parts, and without code units that no store or wire can carry.

export interface VisibleText {
  /** Takes the next piece as it came, gives back what can be shown by now. The pieces join to the visible text. */
  push(piece: string): string;
  /** The last bit: a "<thi" that became no tag. An unclosed thought stays hidden. */
  end(): string;
}

const opening = '<think>';
const closing = '</think>';

export function createVisibleText(): VisibleText {
  let held = '';
  let thinking = false;
  let skipBlanks = false; // directly after a thought

  const show = (text: string): string => {
    const shown = skipBlanks ? text.trimStart() : text;
    if (shown !== '') skipBlanks = false;
    return repairText(shown);
  };

  const take = (last: boolean): string => {
    let shown = '';
    for (;;) {
      // A closing tag without its opening is dropped too: some servers keep the opening one in their prompt.
      const [tag, at] = thinking ? find(held, closing) : find(held, opening, closing);
      if (at < 0) break;
      if (!thinking) shown += show(held.slice(0, at));
      held = held.slice(at + tag.length);
      thinking = tag === opening;
      skipBlanks = true;
    }
    const keep = last ? 0 : unfinished(held);
    if (!thinking) shown += show(held.slice(0, held.length - keep));
    held = held.slice(held.length - keep);
    return shown;
  };

  return {
    push(piece) {
      held += piece;
      return take(false);
    },
    end: () => take(true),
  };
}

/** Lone surrogates and NUL are refused by JSON columns, and by some providers for the rest of the conversation. */
export function repairText(text: string): string {
  return text.replace(/\p{Surrogate}/gu, '\uFFFD').replaceAll('\0', '\uFFFD');
}

function find(text: string, ...tags: string[]): [tag: string, at: number] {
  return tags
    .map((tag): [string, number] => [tag, text.indexOf(tag)])
    .reduce((first, next) => (next[1] >= 0 && (first[1] < 0 || next[1] < first[1]) ? next : first));
}

/** How many characters at the end may become a tag, or the other half of a character, with the next piece. */
function unfinished(text: string): number {
  for (let length = Math.min(closing.length - 1, text.length); length > 0; length--) {
    const tail = text.slice(-length);
    if (opening.startsWith(tail) || closing.startsWith(tail)) return length;
  }
  return /[\uD800-\uDBFF]$/.test(text) ? 1 : 0;
}
