// Makes the page of results of grep out of the lines that ripgrep finds. What ripgrep says is only a hint: nothing is shown unless
// the same bytes stand at the same place in the file that the workspace opens.
import { shown } from './file-refusal.js';
import type { Line } from './ripgrep.js';
import { success, type ToolResult } from './tool.js';

/** Gives bytes of the file that a line was found in; undefined when the workspace has no such file. */
export type ReadAt = (path: string, offset: number, length: number) => Promise<Buffer | undefined>;

export interface Found {
  lines: AsyncIterable<Line>;
  readAt: ReadAt;
  /** From a path as ripgrep prints it to the path that is shown and opened. */
  pathOf(found: string): string;
}

export interface Asked {
  output_mode: 'content' | 'files_with_matches' | 'count';
  context: number;
  head_limit: number;
  offset: number;
}

interface Results {
  results: string[];
  hasMore: boolean;
}

export async function collectResults(found: Found, asked: Asked): Promise<ToolResult> {
  const { results, hasMore } =
    asked.output_mode === 'content' ? await collectLines(found, asked) : await collectFiles(found, asked);
  if (results.length === 0) return success(asked.offset === 0 ? 'No matches.' : 'No further matches.');
  if (hasMore) results.push('', `[There are more; go on with offset ${asked.offset + asked.head_limit}.]`);
  return success(results.join('\n'));
}

async function collectLines({ lines, readAt, pathOf }: Found, asked: Asked): Promise<Results> {
  const results: string[] = [];
  let matches = 0;
  let before: Line[] = []; // context that may precede a match
  let shownLast: { path: string; number: number; matched: number } | undefined;

  async function show(line: Line): Promise<void> {
    const path = pathOf(line.path);
    const text = await verifiedText(line, path, readAt);
    if (text === undefined) return;
    const follows = shownLast?.path === path && line.number === shownLast.number + 1;
    if (asked.context > 0 && shownLast !== undefined && !follows) results.push('--');
    const isMatch = line.matchAt !== undefined;
    results.push(isMatch ? `${shown(path)}:${line.number}: ${text}` : `${shown(path)}-${line.number}- ${text}`);
    shownLast = { path, number: line.number, matched: isMatch ? line.number : (shownLast?.matched ?? 0) };
  }

  for await (const line of lines) {
    if (line.matchAt === undefined) {
      const path = pathOf(line.path);
      if (shownLast?.path === path && line.number - shownLast.matched <= asked.context) await show(line);
      else before.push(line);
      continue;
    }
    matches++;
    const near = before.filter(({ path, number }) => path === line.path && line.number - number <= asked.context);
    before = [];
    if (matches <= asked.offset) continue;
    if (matches > asked.offset + asked.head_limit) return { results, hasMore: true };
    for (const one of [...near, line]) await show(one);
  }
  return { results, hasMore: false };
}

async function collectFiles({ lines, readAt, pathOf }: Found, asked: Asked): Promise<Results> {
  const results: string[] = [];
  let files = 0;
  let current: { found: string; path: string; isVerified: boolean; count: number } | undefined;
  const finish = () => {
    if (current === undefined || !current.isVerified || files <= asked.offset) return;
    results.push(asked.output_mode === 'count' ? `${shown(current.path)}: ${current.count}` : shown(current.path));
  };
  for await (const line of lines) {
    if (current?.found !== line.path) {
      finish();
      if (++files > asked.offset + asked.head_limit) return { results, hasMore: true };
      const path = pathOf(line.path);
      const isVerified = files > asked.offset && (await verifiedText(line, path, readAt)) !== undefined;
      current = { found: line.path, path, isVerified, count: 0 };
    }
    current.count++;
  }
  finish();
  return { results, hasMore: false };
}

/** The line's text as the door to the files reads it, of a long one the part around the match; undefined when it is not there. */
async function verifiedText(line: Line, path: string, readAt: ReadAt): Promise<string | undefined> {
  const read = await readAt(path, line.offset, line.text.length);
  if (read === undefined || !read.equals(line.text)) return undefined;
  if (!line.isCut) return toText(read);
  const start = Math.max(0, (line.matchAt ?? 0) - 100);
  const part = (await readAt(path, line.offset + start, 300)) ?? read;
  const end = part.indexOf(10);
  return `${start > 0 ? '…' : ''}${toText(end === -1 ? part : part.subarray(0, end))}${end === -1 ? '…' : ''}`;
}

function toText(bytes: Buffer): string {
  return bytes.toString().replace(/\r$/, '').replaceAll('\0', '\ufffd');
}
