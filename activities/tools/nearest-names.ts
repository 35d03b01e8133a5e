/**
 * The names that were probably meant, nearest first: at most `count`, none that is wholly different. For unknown tools, files,
 * commands and arguments.
 */
export function nearestNames(name: string, names: Iterable<string>, count = 3): string[] {
  const asked = name.toLowerCase().slice(0, 64);
  const mayDiffer = Math.max(1.5, asked.length * 0.4);
  return [...names]
    .map((candidate) => ({ candidate, distance: distanceOf(asked, candidate.toLowerCase().slice(0, 64)) }))
    .filter(({ distance }) => distance <= mayDiffer)
    .sort((a, b) => a.distance - b.distance)
    .slice(0, count)
    .map(({ candidate }) => candidate);
}

/** Letters to insert, drop, change or swap with their neighbour; a name that is a part of the other is never far. */
function distanceOf(a: string, b: string): number {
  const isPart = a.length > 2 && b.length > 2 && (a.includes(b) || b.includes(a));
  return isPart ? Math.min(1.5, changesBetween(a, b)) : changesBetween(a, b);
}

function changesBetween(a: string, b: string): number {
  const table: number[][] = [];
  const at = (i: number, j: number) => table[i]?.[j] ?? Number.POSITIVE_INFINITY;
  for (let i = 0; i <= a.length; i++) {
    table.push([]);
    for (let j = 0; j <= b.length; j++) {
      const isSwap = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const change = at(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const best = Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, change, isSwap ? at(i - 2, j - 2) + 1 : change);
      table[i]?.push(i === 0 && j === 0 ? 0 : best);
    }
  }
  return at(a.length, b.length);
}
