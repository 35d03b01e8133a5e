/** The known name that a mistyped one most likely means; undefined when none comes close. */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  let best: { name: string; distance: number } | undefined;
  for (const name of known) {
    // A word that was broken off means the name that it begins.
    const distance =
      word.length > 1 && plain(name).startsWith(plain(word)) ? 1 : editDistance(plain(word), plain(name));
    if (!best || distance < best.distance) best = { name, distance };
  }
  // Half of the letters wrong is another word.
  return best && best.distance <= Math.max(2, Math.floor(word.length / 2)) && best.distance < word.length
    ? best.name
    : undefined;
}

/** All known names, the one that looks most like `word` first. */
export function byDistance(word: string, known: Iterable<string>): string[] {
  return [...known]
    .map((name) => ({ name, distance: editDistance(plain(word), plain(name)) }))
    .sort((a, b) => a.distance - b.distance)
    .map(({ name }) => name);
}

// `max_tokens`, `MAX_TOKENS` and `maxTokens` are the same word.
function plain(word: string): string {
  return word.toLowerCase().replace(/[_-]/g, '');
}

// Two letters in the wrong order are one mistake.
function editDistance(from: string, to: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const replaced = (previous[column - 1] ?? 0) + (from[row - 1] === to[column - 1] ? 0 : 1);
      const isSwap = from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      const swapped = isSwap ? (beforePrevious[column - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY;
      current.push(Math.min(replaced, swapped, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1));
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous[to.length] ?? 0;
}
