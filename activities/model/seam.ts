// Joins an answer that was cut off with its continuation, which often repeats the last words before it goes on.

const longestRepeat = 300;
/** Shorter repeats are as likely meant. */
const shortestRepeat = 8;

/** How many characters at the beginning of `next` are the end of `before` said again. */
export function repeatedLength(before: string, next: string): number {
  const longest = Math.min(longestRepeat, before.length, next.length);
  for (let length = longest; length >= shortestRepeat; length--) {
    if (before.endsWith(next.slice(0, length))) return length;
  }
  return 0;
}

export interface Seam {
  /** Gives back what can be shown by now: nothing until the repeat, if there is one, is behind. */
  push(piece: string): string;
  end(): string;
}

export function createSeam(before: string): Seam {
  let held = '';
  let open = before !== '';
  const flush = () => {
    open = false;
    return held.slice(repeatedLength(before, held));
  };
  return {
    push(piece) {
      if (!open) return piece;
      held += piece;
      return held.length >= longestRepeat ? flush() : '';
    },
    end: () => (open ? flush() : ''),
  };
}
