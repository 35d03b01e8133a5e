import { basename } from 'node:path';
import { z } from 'zod';
import { answerRefusals, shown } from './file-refusal.js';
import { defineTool, success } from './tool.js';

export const writeFileTool = defineTool({
  name: 'write_file',
  description:
    'Writes a text file of the workspace, whole: a file that is there is replaced, missing folders are made. ' +
    'To change a part of a file use edit_file.',
  input: z.object({
    path: z.string().describe('Path relative to the workspace'),
    content: z.string().describe('The whole new content'),
  }),
  effect: 'idempotent', // a second attempt puts the same bytes there
  defaultPolicy: 'allow',
  timeoutMs: 60_000,
  summary: ({ path }) => `write_file ${basename(path)}`,
  run: ({ path, content }, context) =>
    answerRefusals(context, async () => {
      const bytes = Buffer.from(content);
      const written = await context.workspace.write(path, bytes, { key: context.key, signal: context.signal });
      return success(`Wrote ${bytes.length} bytes to ${shown(written)}.`);
    }),
});
