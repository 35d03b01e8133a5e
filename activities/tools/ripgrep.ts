// Runs ripgrep: its engine takes linear time for any pattern, and its long lines are cut before they reach this process.
// It gets no configuration file, no ignore files (those of the folders above would be read too), no environment, and follows no link.
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';

export interface Search {
  /** Path of the program. */
  program: string;
  pattern: string;
  isFixed: boolean;
  ignoreCase: boolean;
  context: number;
  /** Only files that match it. */
  glob?: string;
  /** Only files that end in one of these, without the dot. */
  endings?: readonly string[];
  /** Names of folders that are not entered. */
  without: readonly string[];
  /** What ends a file's part of the search; undefined for never. */
  maxPerFile?: number;
  cwd: string;
  /** A path relative to `cwd`, or the text to search itself. */
  target: { path: string } | { text: Buffer };
  signal: AbortSignal;
}

export interface Line {
  path: string;
  /** Counted from 1. */
  number: number;
  /** Where the line begins in the file, in bytes. */
  offset: number;
  /** Where in the line the match begins, in bytes from 0; undefined for a line of context. */
  matchAt?: number;
  /** The line, or its beginning. */
  text: Buffer;
  isCut: boolean;
}

/** Why ripgrep did not search, in its own words. */
export class PatternRefused extends Error {}

const maxLineBytes = 300;

/** In order of paths. Stopping early, an abort and a failure all end the process. Throws `PatternRefused` for a bad pattern or glob. */
export async function* searchLines(search: Search): AsyncGenerator<Line> {
  const { program, cwd, target, signal } = search;
  const child = spawn(program, toArguments(search), {
    cwd,
    env: {},
    stdio: ['text' in target ? 'pipe' : 'ignore', 'pipe', 'pipe'],
    signal,
    killSignal: 'SIGKILL',
  }) as ChildProcessByStdio<Writable | null, Readable, Readable>;
  const closed = once(child, 'close') as Promise<[code: number | null]>;
  closed.catch(() => undefined); // an abort rejects it; whoever reads the lines learns it from the signal
  await once(child, 'spawn');
  try {
    child.stdin?.on('error', () => undefined); // it may stop reading early
    if ('text' in target) child.stdin?.end(target.text);
    const complaint = collect(child.stderr, 2_000).catch(() => '');
    for await (const line of linesOf(child.stdout)) {
      const parsed = parseLine(line);
      if (parsed !== undefined && hasEnding(parsed.path, search.endings)) yield parsed;
    }
    const [code] = await closed;
    if (code === 2) throw new PatternRefused(explain(await complaint, search.pattern));
  } finally {
    child.kill('SIGKILL');
  }
}

function toArguments(search: Search): string[] {
  const { pattern, isFixed, ignoreCase, context, glob, endings, without, maxPerFile, target } = search;
  return [
    ...[
      '--no-config',
      '--no-ignore',
      '--hidden',
      '--no-follow',
      '--no-messages',
      '--no-mmap',
      '--sort=path',
      '--encoding=none',
    ],
    ...['--null', '--with-filename', '--line-number', '--column', '--byte-offset', '--no-heading', '--color=never'],
    ...[`--max-columns=${maxLineBytes}`, '--max-columns-preview', '--max-filesize=100M', `--context=${context}`],
    ...(isFixed ? ['--fixed-strings'] : []),
    ...(ignoreCase ? ['--ignore-case'] : []),
    ...(maxPerFile === undefined ? [] : [`--max-count=${maxPerFile}`]),
    // ripgrep takes one file for wanted when any of its globs does, so a kind beside a glob is left to `hasEnding`.
    ...(glob === undefined ? (endings ?? []).map((ending) => `--iglob=*.${ending}`) : [`--glob=${glob}`]),
    ...without.map((name) => `--iglob=!${name}`), // the last glob wins, and these are read after `--glob`
    `--regexp=${pattern}`,
    'path' in target ? target.path : '-',
  ];
}

function hasEnding(path: string, endings: readonly string[] | undefined): boolean {
  return endings === undefined || endings.some((ending) => path.toLowerCase().endsWith(`.${ending}`));
}

async function* linesOf(stream: Readable): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const piece of stream as AsyncIterable<Buffer>) {
    rest = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    let start = 0;
    for (let end = rest.indexOf(10); end !== -1; end = rest.indexOf(10, start)) {
      yield rest.subarray(start, end);
      start = end + 1;
    }
    rest = rest.subarray(start);
  }
  if (rest.length > 0) yield rest;
}

/** `path NUL number:column:offset:text` for a match, `path NUL number-offset-text` for context; anything else (`--`) is no line. */
function parseLine(line: Buffer): Line | undefined {
  const nul = line.indexOf(0);
  if (nul === -1) return undefined;
  const head = line.subarray(nul + 1, nul + 50).toString('latin1');
  const match = /^(\d+):(\d+):(\d+):/.exec(head) ?? /^(\d+)()-(\d+)-/.exec(head);
  if (match === null) return undefined;
  const whole = line.subarray(nul + 1 + match[0].length);
  const isCut = whole.length > maxLineBytes;
  return {
    path: line.subarray(0, nul).toString(),
    number: Number(match[1]),
    offset: Number(match[3]),
    matchAt: match[2] ? Number(match[2]) - 1 : undefined,
    text: isCut ? whole.subarray(0, whole.lastIndexOf(' [... ')) : whole,
    isCut,
  };
}

async function collect(stream: Readable, maxChars: number): Promise<string> {
  let text = '';
  for await (const piece of stream) if (text.length < maxChars) text += String(piece);
  return text.slice(0, maxChars);
}

/** ripgrep marks the place with `^` below the pattern, which it shows as `(?:pattern)` after four spaces. */
function explain(complaint: string, pattern: string): string {
  const words = complaint.replace(/^rg: /, '').trim();
  const caret = /^ +\^/m.exec(complaint);
  if (caret === null || pattern.includes('\n')) return words;
  const at = caret[0].length - '    (?:'.length;
  const reason = /^error: (.*)$/m.exec(words)?.[1] ?? words;
  return at < 1 ? `${reason} at the end of the pattern` : `${reason} at character ${at} of the pattern`;
}
