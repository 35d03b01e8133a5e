import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { answerRefusals, FileRefusal, shown } from './file-refusal.js';
import { endingsOf, typeDescription, typePattern } from './file-types.js';
import { collectResults, type ReadAt } from './grep-results.js';
import { isHandle } from './read-file.js';
import { PatternRefused, searchLines } from './ripgrep.js';
import { notTextKind } from './text-file.js';
import { defineTool, failure, type ToolContext, type ToolResult } from './tool.js';
import { noiseFolders } from './walk-folder.js';
import type { Workspace } from './workspace.js';

const usualResults = 250;

const input = z.object({
  pattern: z
    .string()
    .min(1)
    .max(4_000)
    .describe('Regular expression (of Rust: no look-around), or plain text with fixed_strings'),
  path: z
    .string()
    .default('.')
    .describe('Folder or file, relative to the workspace, or a handle such as result:<turn>/<call>'),
  glob: z.string().min(1).max(200).optional().describe('Only files like *.md, or reports/**/*.csv'),
  type: z.string().regex(typePattern).optional().describe(typeDescription),
  case_insensitive: z.boolean().default(false),
  fixed_strings: z.boolean().default(false).describe('Take the pattern as plain text'),
  output_mode: z
    .enum(['content', 'files_with_matches', 'count'])
    .default('content')
    .describe('Matching lines, only the files, or the number of matching lines of each file'),
  context: z.number().int().min(0).max(20).default(0).describe('Lines around each match'),
  head_limit: z.number().int().min(1).max(1_000).default(usualResults).describe('How many matches or files at most'),
  offset: z.number().int().min(0).default(0).describe('How many matches or files to leave out'),
});
type Input = z.infer<typeof input>;

/** `findRipgrep` resolves to the program's path; undefined where this platform has none. */
export function createGrepTool(findRipgrep: () => Promise<string | undefined>) {
  return defineTool({
    name: 'grep',
    description:
      'Searches the text of the files of the workspace, or of a stored result. Binary files, links and bulk such as node_modules ' +
      'are left out.',
    input,
    effect: 'read',
    defaultPolicy: 'allow',
    timeoutMs: 5_000,
    local: true,
    summary: ({ path }) => `grep ${isHandle(path) ? 'a stored result' : basename(path)}`,
    run: (asked, context) =>
      answerRefusals(context, async () => {
        const program = await findRipgrep();
        if (program === undefined) {
          return failure(
            'grep needs ripgrep, which is not installed for this machine. Ask the person to run npm install.',
          );
        }
        try {
          return isHandle(asked.path)
            ? await grepResult(program, asked, context)
            : await grepFiles(program, asked, context);
        } catch (error) {
          if (!(error instanceof PatternRefused)) throw error;
          return failure(`the search was refused: ${error.message}. For plain text set fixed_strings.`);
        }
      }),
  });
}

export const grepTool = createGrepTool(async () => {
  try {
    return (await import('@vscode/ripgrep')).rgPath;
  } catch {
    return undefined; // the package throws while it is loaded when it has no program for this platform
  }
});

async function grepResult(program: string, asked: Input, context: ToolContext): Promise<ToolResult> {
  const text = await context.results.find(asked.path);
  if (text === undefined)
    return failure(`this conversation holds no ${shown(asked.path)}. Use a handle as a result gave it.`);
  const bytes = Buffer.from(text);
  const readAt: ReadAt = async (_, offset, length) => bytes.subarray(offset, offset + length);
  const { signal, workspace } = context;
  const lines = searchLines({
    ...toSearch({ ...asked, glob: undefined, type: undefined }),
    program,
    cwd: workspace.root,
    target: { text: bytes },
    signal,
  });
  return collectResults({ lines, readAt, pathOf: () => asked.path }, asked);
}

async function grepFiles(program: string, asked: Input, { workspace, signal }: ToolContext): Promise<ToolResult> {
  const { folder, target } = await findTarget(workspace, asked.path);
  return workspace.inFolder(folder, async ({ cwd, path }) => {
    const search = toSearch(asked);
    const lines = searchLines({ ...search, program, cwd, target: { path: target }, signal });
    const files = openOneByOne(workspace);
    try {
      return await collectResults({ lines, readAt: files.readAt, pathOf: (found) => join(path, found) }, asked);
    } finally {
      await files.close();
    }
  });
}

function toSearch(asked: Input) {
  return {
    pattern: asked.pattern,
    isFixed: asked.fixed_strings,
    ignoreCase: asked.case_insensitive,
    context: asked.output_mode === 'content' ? asked.context : 0,
    maxPerFile: asked.output_mode === 'files_with_matches' ? 1 : undefined,
    glob: asked.glob,
    without: noiseFolders,
    endings: asked.type === undefined ? undefined : endingsOf(asked.type),
  };
}

/** The folder to search and what in it; a file is looked at first, since ripgrep would wait for a FIFO and pass over a PDF in silence. */
async function findTarget(workspace: Workspace, path: string): Promise<{ folder: string; target: string }> {
  try {
    const { handle, path: real } = await workspace.open(path);
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(8_000), 0, 8_000, 0);
      const kind = notTextKind(buffer.subarray(0, bytesRead));
      if (kind !== undefined)
        throw new FileRefusal('not text', path, `${shown(path)} is ${kind}; grep searches text only.`);
    } finally {
      await handle.close();
    }
    return { folder: dirname(real), target: `./${basename(real)}` };
  } catch (error) {
    if (!(error instanceof FileRefusal) || error.kind !== 'folder') throw error;
    return { folder: path, target: './' };
  }
}

/**
 * ripgrep opens files by name, and a folder may be swapped for a link while it runs. So nothing it found is shown unless the same
 * bytes stand at the same place in the file that the workspace opens.
 */
function openOneByOne(workspace: Workspace) {
  let current: { path: string; file: Awaited<ReturnType<Workspace['open']>> | undefined } | undefined;
  const close = async () => {
    await current?.file?.handle.close();
    current = undefined;
  };
  const readAt: ReadAt = async (path, offset, length) => {
    if (current?.path !== path) {
      await close();
      const file = await workspace.open(path).catch((error: unknown) => {
        if (error instanceof FileRefusal) return undefined;
        throw error;
      });
      current = { path, file };
    }
    const read = await current?.file?.handle.read(Buffer.alloc(length), 0, length, offset);
    return read?.buffer.subarray(0, read.bytesRead);
  };
  return { readAt, close };
}
