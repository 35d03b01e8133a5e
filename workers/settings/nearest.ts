/** The known name that a mistyped one most likely means; undefined when none comes close. */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  let best: { name: string; distance: number } | undefined;
  for (const name of known) {
    const distance = editDistance(plain(word), plain(name));
    if (!best || distance < best.distance) best = { name, distance };
  }
  // Half of the letters wrong is another word.
  return best && best.distance <= Math.max(2, Math.floor(word.length / 2)) && best.distance < word.length
    ? best.name
    : undefined;
}

// `max_tokens`, `MAX_TOKENS` and `maxTokens` are the same word.
function plain(word: string): string {
  return word.toLowerCase().replace(/[_-]/g, '');
}

function editDistance(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const replaced = (previous[column - 1] ?? 0) + (from[row - 1] === to[column - 1] ? 0 : 1);
      current.push(Math.min(replaced, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[to.length] ?? 0;
}
