import { basename } from 'node:path';
import { z } from 'zod';
import { answerRefusals, shown } from './file-refusal.js';
import { defineTool, success } from './tool.js';
import { type Entry, noiseFolders } from './walk-folder.js';

const usualEntries = 200;

export const listDirTool = defineTool({
  name: 'list_dir',
  description: 'Lists a folder of the workspace, in order of names. To search for files by name use find_files.',
  input: z.object({
    path: z.string().describe('Path relative to the workspace; . is the workspace itself'),
    recursive: z.boolean().default(false).describe('Also what lies in its folders, but for bulk such as node_modules'),
    max_entries: z.number().int().min(1).max(1_000).default(usualEntries).describe('How many entries at most'),
  }),
  effect: 'read',
  defaultPolicy: 'allow',
  timeoutMs: 5_000,
  local: true,
  summary: ({ path }) => `list_dir ${basename(path)}`,
  run: ({ path, recursive, max_entries }, context) =>
    answerRefusals(context, async () => {
      const lines: string[] = [];
      let isCut = false;
      for await (const entry of context.workspace.walk(path, ({ name }) => recursive && !noiseFolders.includes(name))) {
        context.signal.throwIfAborted();
        isCut = lines.length === max_entries;
        if (isCut) break;
        lines.push(await lineOf(entry, recursive && noiseFolders.includes(entry.name)));
      }
      if (lines.length === 0) return success(`[${shown(path)} is empty.]`);
      if (isCut) lines.push('', `[Cut after ${max_entries} entries; list a folder in it, or use find_files.]`);
      return success(lines.join('\n'));
    }),
});

async function lineOf(entry: Entry, isSkipped: boolean): Promise<string> {
  const name = shown(entry.path);
  if (entry.kind === 'folder') return isSkipped ? `${name}/ (not listed)` : `${name}/`;
  if (entry.kind === 'link') return `${name} (link)`;
  if (entry.kind === 'other') return `${name} (no regular file)`;
  const found = await entry.stat();
  return `${name} (${found?.size ?? 0} bytes)`;
}
