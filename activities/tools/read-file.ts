import type { FileHandle } from 'node:fs/promises';
import { basename } from 'node:path';
import { z } from 'zod';
import { answerRefusals, FileRefusal, shown } from './file-refusal.js';
import { type Page, pageLines } from './page-lines.js';
import { notTextKind } from './text-file.js';
import { defineTool, failure, success, type ToolResult } from './tool.js';

const maxLines = 2_000;
const maxChars = 128_000;
const maxBytes = 100 * 1024 * 1024;

/** Text only. A stored result is read by its handle in place of a path. */
export const readFileTool = defineTool({
  name: 'read_file',
  description:
    `Reads a text file of the workspace, or a stored result, page by page: at most ${maxLines} lines and ${maxChars} characters ` +
    'a call, and it says how to go on. PDF, Office documents and images cannot be read.',
  input: z.object({
    path: z.string().describe('Path relative to the workspace, or a handle such as result:<turn>/<call>'),
    offset: z.number().int().min(1).default(1).describe('First line to read, counted from 1'),
    limit: z.number().int().min(1).max(maxLines).default(maxLines).describe('How many lines'),
  }),
  effect: 'read',
  defaultPolicy: 'allow',
  timeoutMs: 5_000,
  local: true,
  pages: true,
  summary: ({ path }) => `read_file ${isHandle(path) ? 'a stored result' : basename(path)}`,
  run: ({ path, offset, limit }, context) =>
    answerRefusals(context, async () => {
      const limits = { offset, limit, maxChars };
      if (isHandle(path)) {
        const text = await context.results.find(path);
        if (text === undefined)
          return failure(`this conversation holds no ${shown(path)}. Use a handle as a result gave it.`);
        return toResult(path, await pageLines([text], limits));
      }
      const { handle, bytes } = await context.workspace.open(path);
      try {
        if (bytes > maxBytes) return failure(`${shown(path)} is larger than 100 MiB. Search it with grep.`);
        return toResult(path, await pageLines(textOf(handle, path, context.signal), limits));
      } finally {
        await handle.close();
      }
    }),
});

/** Whether a path names a stored result and no file. */
export function isHandle(path: string): boolean {
  return path.startsWith('result:');
}

async function* textOf(handle: FileHandle, path: string, signal: AbortSignal): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  const piece = Buffer.allocUnsafe(256 * 1024);
  for (let at = 0; ; ) {
    signal.throwIfAborted();
    const { bytesRead } = await handle.read(piece, 0, piece.length, at);
    const read = piece.subarray(0, bytesRead);
    if (at === 0) refuseOtherThanText(read, path);
    if (bytesRead === 0) return yield decoder.decode();
    yield decoder.decode(read, { stream: true });
    at += bytesRead;
  }
}

function refuseOtherThanText(start: Uint8Array, path: string): void {
  const kind = notTextKind(start);
  if (kind !== undefined)
    throw new FileRefusal('not text', path, `${shown(path)} is ${kind}; read_file reads UTF-8 text only.`);
}

function toResult(path: string, page: Page): ToolResult {
  const name = shown(path);
  if (page.total === 0) return success(`[${name} is empty.]`);
  if (page.first > page.total)
    return failure(`${name} has ${page.total} lines; line ${page.first} lies behind its end.`);
  const text = page.text.replaceAll('\r\n', '\n').replaceAll('\0', '\ufffd'); // no store keeps a NUL in text
  const notes: string[] = [];
  if (page.isCut)
    notes.push(`Line ${page.last} is longer than ${maxChars} characters and was cut; search it with grep.`);
  if (page.last < page.total) {
    notes.push(`Lines ${page.first} to ${page.last} of ${page.total}; go on with offset ${page.last + 1}.`);
  }
  return success(notes.length === 0 ? text : `${text.replace(/\n$/, '')}\n\n[${notes.join(' ')}]`);
}
