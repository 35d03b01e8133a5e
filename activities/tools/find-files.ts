import { basename } from 'node:path';
import { z } from 'zod';
import { answerRefusals, shown } from './file-refusal.js';
import { endingsOf, typeDescription, typePattern } from './file-types.js';
import { compileGlob, matchAll } from './glob.js';
import { defineTool, failure, success } from './tool.js';
import { type Entry, noiseFolders } from './walk-folder.js';

const usualResults = 200;
const maxSearched = 100_000;

interface Found {
  path: string;
  name: string;
  modifiedMs: number;
}

export const findFilesTool = defineTool({
  name: 'find_files',
  description:
    'Finds files of the workspace by words in their path, by a glob, or by kind. Bulk such as node_modules and links are not ' +
    'searched. To search in their text use grep.',
  input: z.object({
    path: z.string().default('.').describe('Folder to search, relative to the workspace'),
    query: z.string().optional().describe('Words that must all occur in the path; upper and lower case are the same'),
    glob: z
      .string()
      .min(1)
      .max(200)
      .optional()
      .describe('Such as *.md, or reports/**/2026-*.csv from the searched folder on'),
    type: z.string().regex(typePattern).optional().describe(typeDescription),
    include_dirs: z.boolean().default(false).describe('Folders too'),
    sort: z.enum(['path', 'modified']).default('path').describe('By path, or the newest first'),
    head_limit: z.number().int().min(1).max(1_000).default(usualResults).describe('How many results at most'),
    offset: z.number().int().min(0).default(0).describe('How many results to leave out'),
  }),
  effect: 'read',
  defaultPolicy: 'allow',
  timeoutMs: 5_000,
  local: true,
  summary: ({ path }) => `find_files ${basename(path)}`,
  run: ({ path, query, glob, type, include_dirs, sort, head_limit, offset }, context) =>
    answerRefusals(context, async () => {
      const compiled = glob === undefined ? undefined : compileGlob(glob);
      if (compiled !== undefined && 'problem' in compiled) return failure(compiled.problem);
      const words = (query ?? '')
        .toLowerCase()
        .split(/\s+/)
        .filter((word) => word !== '');
      const endings = type === undefined ? undefined : endingsOf(type).map((ending) => `.${ending}`);
      const start = await context.workspace.resolve(path);

      const isWanted = ({ kind, path, name }: Entry) =>
        (kind === 'file' || (kind === 'folder' && include_dirs && endings === undefined)) &&
        (endings === undefined || endings.some((ending) => name.toLowerCase().endsWith(ending))) &&
        words.every((word) => path.toLowerCase().includes(word));

      let found: Found[] = [];
      let seen = 0;
      for await (const entry of context.workspace.walk(path, ({ name }) => !noiseFolders.includes(name))) {
        context.signal.throwIfAborted();
        if (++seen > maxSearched) break;
        if (!isWanted(entry)) continue;
        const modifiedMs = sort === 'modified' ? ((await entry.stat())?.mtimeMs ?? 0) : 0;
        found.push({ path: entry.kind === 'folder' ? `${entry.path}/` : entry.path, name: entry.name, modifiedMs });
      }
      if (compiled !== undefined) {
        const { pattern, ofNames } = compiled;
        const insideStart = (file: Found) => file.path.slice(start === '' ? 0 : start.length + 1).replace(/\/$/, '');
        const matches = matchAll(
          pattern,
          found.map((file) => (ofNames ? file.name : insideStart(file))),
        );
        if (matches === undefined)
          return failure(`the glob ${glob} takes too long to match. Use fewer stars, or query.`);
        found = found.filter((_, index) => matches[index]);
      }
      found.sort((a, b) => b.modifiedMs - a.modifiedMs || (a.path < b.path ? -1 : 1));

      const page = found.slice(offset, offset + head_limit).map((file) => shown(file.path));
      const notes: string[] = [];
      if (offset + page.length < found.length) {
        notes.push(
          `Results ${offset + 1} to ${offset + page.length} of ${found.length}; go on with offset ${offset + page.length}.`,
        );
      }
      if (seen > maxSearched) notes.push(`The search ended after ${maxSearched} names; search a smaller folder.`);
      if (page.length === 0)
        notes.unshift(found.length === 0 ? 'No files found.' : `There are only ${found.length} results.`);
      return success([...page, ...(notes.length === 0 ? [] : ['', `[${notes.join(' ')}]`])].join('\n').trimStart());
    }),
});
