import { basename } from 'node:path';
import { z } from 'zod';
import { hashOf } from './file-hash.js';
import { answerRefusals, shown } from './file-refusal.js';
import { findHits, type Hit, nearestBlock, replaceHits } from './text-edit.js';
import { decodeText, encodeText } from './text-file.js';
import { defineTool, failure, success, type ToolResult } from './tool.js';

/** Above it a search would hold the process up. */
export const maxEditBytes = 10 * 1024 * 1024;

const input = z.object({
  path: z.string().describe('Path relative to the workspace'),
  old_text: z
    .string()
    .min(1)
    .describe('The text to replace, as it stands in the file, with enough around it to be unique'),
  new_text: z.string().describe('What stands there afterwards; empty to delete'),
  replace_all: z.boolean().default(false).describe('Replace every occurrence'),
  occurrence: z.number().int().min(1).optional().describe('Which occurrence to replace, counted from 1'),
  line_hint: z.number().int().min(1).optional().describe('Replace the occurrence nearest to this line'),
  expected_replacements: z
    .number()
    .int()
    .min(1)
    .optional()
    .describe('How many occurrences there must be; all are replaced, and nothing is written when the count differs'),
});

export interface EditRequest {
  old_text: string;
  new_text: string;
  replace_all?: boolean;
  occurrence?: number;
  line_hint?: number;
  expected_replacements?: number;
}

/** What a call keeps before it writes, so that a second attempt can tell whether the first one has written. */
const memory = z.object({ before: z.string(), after: z.string(), said: z.string() });

/**
 * `idempotent`: the hashes of the file before and after are remembered before the write. A second attempt that finds the file as it
 * is afterwards is done, one that finds it as it was before writes, and one that finds anything else fails.
 */
export const editFileTool = defineTool({
  name: 'edit_file',
  description:
    'Replaces one passage of a text file of the workspace. old_text must match once, unless occurrence, line_hint, replace_all or ' +
    'expected_replacements says which. To write a whole file use write_file; for several files apply_patch.',
  input,
  effect: 'idempotent',
  defaultPolicy: 'allow',
  timeoutMs: 60_000,
  summary: ({ path }) => `edit_file ${basename(path)}`,
  run: ({ path, ...request }, context) =>
    answerRefusals(context, async () => {
      const { workspace, key, signal } = context;
      const content = await workspace.read(path, maxEditBytes);
      const before = hashOf(content);
      const earlier = memory.safeParse(context.remembered).data;
      if (before === earlier?.after) return success(earlier.said);
      if (earlier !== undefined && before !== earlier.before) return failure(interrupted(path));

      const file = decodeText(content, path);
      const edited = editText(file.text, file.hasCrLf ? withPlainLineEnds(request) : request, shown(path));
      if (edited.failed) return { text: edited.text, failed: true };
      const next = encodeText({ ...file, text: edited.newText });
      await context.remember({ before, after: hashOf(next), said: edited.text } satisfies z.infer<typeof memory>);
      await workspace.write(path, next, { key, signal, onlyIf: before });
      return success(edited.text);
    }),
});

/** The words for a file that is neither as an interrupted attempt found it nor as it would have left it. */
export function interrupted(path: string): string {
  return (
    `an earlier attempt of this call was interrupted and ${shown(path)} has changed since; nothing more was written, and the edit ` +
    'may or may not be in it. Read it before editing again.'
  );
}

/** For a file whose text was decoded from `\r\n`: what the model quotes of it may hold either kind of line end. */
export function withPlainLineEnds(request: EditRequest): EditRequest {
  const plain = (text: string) => text.replaceAll('\r\n', '\n');
  return { ...request, old_text: plain(request.old_text), new_text: plain(request.new_text) };
}

/** Pure. `text` of the answer says what was replaced where, or why nothing can be. */
export function editText(text: string, request: EditRequest, name: string): ToolResult & { newText: string } {
  const refuse = (message: string) => ({ ...failure(message), newText: text });
  const { old_text, new_text, occurrence, line_hint, replace_all, expected_replacements } = request;
  if (old_text === new_text) return refuse('old_text and new_text are equal, so there is nothing to change.');
  const choices = [occurrence, line_hint, replace_all || undefined].filter((choice) => choice !== undefined);
  if (choices.length > 1) return refuse('give only one of occurrence, line_hint and replace_all.');

  const { how, hits } = findHits(text, old_text, new_text);
  const lines = linesOf(hits);
  if (hits.length === 0) {
    const nearest = nearestBlock(text, old_text);
    const remedy =
      nearest === undefined ? 'Nothing in it is like old_text; read it first.' : `The nearest place is:\n${nearest}`;
    return refuse(`old_text was not found in ${name}. ${remedy}`);
  }
  const chosen = chooseHits(hits, request);
  if (occurrence !== undefined && chosen.length === 0) {
    return refuse(`old_text occurs ${times(hits.length)} in ${name} (${lines}); there is no occurrence ${occurrence}.`);
  }
  if (expected_replacements !== undefined && chosen.length !== expected_replacements) {
    const found = chosen.length === hits.length ? times(hits.length) : `${times(chosen.length)} of ${hits.length}`;
    return refuse(
      `expected ${expected_replacements} replacements, found ${found} in ${name} (${lines}). Nothing was written.`,
    );
  }
  if (chosen.length > 1 && !replace_all && expected_replacements === undefined) {
    return refuse(
      `old_text occurs ${times(hits.length)} in ${name} (${lines}). Add more of what stands around it, or give occurrence, line_hint or replace_all.`,
    );
  }
  const newText = replaceHits(text, chosen);
  if (newText === text) return refuse(`${name} already reads like that; nothing was written.`);
  const note = how === 'exact' ? '' : ` Matched with ${how}.`;
  return { ...success(`Replaced ${times(chosen.length)} in ${name} (${linesOf(chosen)}).${note}`), newText };
}

/** Empty when there is no such occurrence. */
function chooseHits(hits: Hit[], { occurrence, line_hint }: EditRequest): Hit[] {
  if (occurrence !== undefined) return hits.slice(occurrence - 1, occurrence);
  if (line_hint === undefined) return hits;
  const away = ({ line }: Hit) => Math.abs(line - line_hint);
  return [hits.reduce((nearest, hit) => (away(hit) < away(nearest) ? hit : nearest))];
}

function linesOf(hits: readonly Hit[]): string {
  const numbers = hits.slice(0, 20).map(({ line }) => line);
  return `line${hits.length === 1 ? '' : 's'} ${numbers.join(', ')}${hits.length > 20 ? ', …' : ''}`;
}

function times(count: number): string {
  return count === 1 ? 'once' : `${count} times`;
}
