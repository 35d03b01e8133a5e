// Globs for file names. picomatch turns a glob into a regular expression that can take seconds for one name (`*a*a*a*b`: 1.5 s for
// 255 letters a), so all names of a search are matched in one go that V8 interrupts when its time is over.
import { runInNewContext } from 'node:vm';
import picomatch from 'picomatch';

const matchMs = 250; // the process stands still that long at worst; 100,000 ordinary names take 90 ms

/** `pattern` is for paths, or for names alone when the glob holds no slash. */
export type Glob = { pattern: RegExp; ofNames: boolean } | { problem: string };

export function compileGlob(glob: string): Glob {
  try {
    const pattern = picomatch.makeRe(glob, { dot: true, strictBrackets: true });
    // What picomatch cannot compile becomes a pattern that matches nothing.
    if (pattern.source === '$^')
      return { problem: `the glob ${glob} is not valid: look at its brackets and backslashes.` };
    return { pattern, ofNames: !glob.includes('/') };
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'SyntaxError') throw error;
    return { problem: `the glob ${glob} is not valid: ${whereOpen(glob)}.` };
  }
}

/** For each text whether the pattern matches it; undefined when that took too long. */
export function matchAll(pattern: RegExp, texts: readonly string[]): boolean[] | undefined {
  try {
    return runInNewContext('texts.map((text) => pattern.test(text))', { pattern, texts }, { timeout: matchMs });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') return undefined;
    throw error;
  }
}

function whereOpen(glob: string): string {
  const open: { sign: string; at: number }[] = [];
  const partner: Record<string, string> = { ']': '[', '}': '{', ')': '(' };
  for (const [at, sign] of [...glob].entries()) {
    if ('[{('.includes(sign)) open.push({ sign, at });
    else if (partner[sign] !== undefined && open.at(-1)?.sign === partner[sign]) open.pop();
  }
  const first = open[0];
  return first === undefined
    ? 'its brackets do not match'
    : `the ${first.sign} at character ${first.at + 1} is not closed`;
}
