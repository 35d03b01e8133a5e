// Cuts a reply into parts that a platform takes: between paragraphs, else between lines, else between words, else anywhere but inside
// a character. Pure, and the parts hold everything but the blanks at the cuts.

const cuts = [/\n\s*\n/g, /\n/g, /\s/g];

export function splitText(text: string, maxChars: number): string[] {
  const parts: string[] = [];
  let rest = text;
  while (rest.length > maxChars) {
    const at = cutWithin(rest, maxChars);
    parts.push(rest.slice(0, at).trimEnd());
    rest = rest.slice(at).trimStart();
  }
  if (rest !== '' || parts.length === 0) parts.push(rest);
  return parts;
}

function cutWithin(text: string, maxChars: number): number {
  const head = text.slice(0, maxChars + 1);
  for (const cut of cuts) {
    const last = [...head.matchAll(cut)].findLast(({ index }) => index > maxChars / 2);
    if (last) return last.index;
  }
  // Not between the halves of a pair.
  return /[\uD800-\uDBFF]/.test(text.charAt(maxChars - 1)) ? maxChars - 1 : maxChars;
}
