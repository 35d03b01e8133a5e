import { basename } from 'node:path';
import { createTwoFilesPatch, FILE_HEADERS_ONLY } from 'diff';
import { z } from 'zod';
import { editText, interrupted, maxEditBytes, withPlainLineEnds } from './edit-file.js';
import { hashOf } from './file-hash.js';
import { answerRefusals, FileRefusal, shown } from './file-refusal.js';
import type { StagedFile } from './staged-file.js';
import { decodeText, encodeText } from './text-file.js';
import { defineTool, failure, success, type ToolContext, type ToolResult } from './tool.js';
import type { Workspace } from './workspace.js';

const maxEdits = 20;

const edit = z.object({
  path: z.string().describe('Path relative to the workspace'),
  action: z.enum(['replace', 'add']).describe('replace: old_text by new_text; add: make the file, or append to it'),
  old_text: z.string().min(1).optional().describe('For replace: a passage that occurs once'),
  new_text: z.string().describe('What stands there afterwards, or what is added'),
});
type Edit = z.infer<typeof edit>;

const input = z.object({
  edits: z.array(edit).min(1).max(maxEdits).describe('Applied in order; several may change one file'),
  dry_run: z.boolean().default(false).describe('Only check, and show what would change'),
});

/** The hashes before and after of each file, in the order in which the edits name them; null where there was none. */
const memory = z.array(z.tuple([z.string().nullable(), z.string()]));

interface FilePlan {
  path: string;
  edits: { edit: Edit; number: number }[];
  content: Buffer | null;
  before: string | null;
}

interface FileChange {
  path: string;
  before: string | null;
  oldText: string;
  newText: string;
  next: Buffer;
}

/** `idempotent` as `edit_file` is, file by file: an interrupted patch is carried on where it stopped. */
export const applyPatchTool = defineTool({
  name: 'apply_patch',
  description:
    `Applies up to ${maxEdits} edits to text files of the workspace, all or none: when one does not fit, nothing is written. ` +
    'For one passage of one file use edit_file.',
  input,
  effect: 'idempotent',
  defaultPolicy: 'allow',
  timeoutMs: 60_000,
  summary: ({ edits }) =>
    `apply_patch ${[...new Set(edits.map(({ path }) => basename(path)))].join(', ')}`.slice(0, 80),
  run: ({ edits, dry_run }, context) =>
    answerRefusals(context, async () => {
      const plans = await planFiles(context.workspace, edits);
      const earlier = memory.safeParse(context.remembered).data;
      const states = plans.map((plan, index) => stateOf(plan, earlier?.[index]));
      const strange = plans.find((_, index) => states[index] === 'strange');
      if (strange !== undefined) return failure(interrupted(strange.path));

      const changes: FileChange[] = [];
      for (const plan of plans.filter((_, index) => states[index] === 'to do')) {
        const changed = changeFile(plan, edits.length);
        if ('failed' in changed) return changed;
        changes.push(changed);
      }
      if (dry_run) return success(`Nothing was written. The patch fits:\n${changes.map(toDiff).join('\n')}`);
      if (earlier === undefined) {
        await context.remember(
          changes.map(({ before, next }) => [before, hashOf(next)]) satisfies z.infer<typeof memory>,
        );
      }
      const failed = await writeAll(changes, context);
      return failed ?? success(`Applied ${edits.length} edits to ${plans.map(({ path }) => shown(path)).join(', ')}.`);
    }),
});

/** `done`: an earlier attempt has written this file. `strange`: it is neither as that attempt found it nor as it left it. */
function stateOf(
  { before }: FilePlan,
  earlier: z.infer<typeof memory>[number] | undefined,
): 'to do' | 'done' | 'strange' {
  if (earlier === undefined || before === earlier[0]) return 'to do';
  return before === earlier[1] ? 'done' : 'strange';
}

/** One plan for each file, however its path is spelled, in the order of its first edit. */
async function planFiles(workspace: Workspace, edits: readonly Edit[]): Promise<FilePlan[]> {
  const plans = new Map<string, FilePlan>();
  for (const [index, edit] of edits.entries()) {
    try {
      const path = await workspace.resolve(edit.path);
      let plan = plans.get(path);
      if (plan === undefined) {
        const content = await readOrNull(workspace, edit.path);
        plan = { path: edit.path, edits: [], content, before: content && hashOf(content) };
        plans.set(path, plan);
      }
      plan.edits.push({ edit, number: index + 1 });
    } catch (error) {
      if (error instanceof FileRefusal) error.message = failedEdit(index + 1, edits.length, error.message);
      throw error;
    }
  }
  return [...plans.values()];
}

async function readOrNull(workspace: Workspace, path: string): Promise<Buffer | null> {
  try {
    return await workspace.read(path, maxEditBytes);
  } catch (error) {
    if (error instanceof FileRefusal && error.kind === 'missing') return null;
    throw error;
  }
}

/** The file after all its edits, or the answer that names the first one that does not fit. */
function changeFile({ path, edits, content, before }: FilePlan, total: number): FileChange | ToolResult {
  const file = content === null ? { text: '', hasMark: false, hasCrLf: false } : decodeText(content, path);
  let text = content === null ? null : file.text;
  for (const { edit, number } of edits) {
    const applied = applyEdit(text, edit, file.hasCrLf);
    if (applied.failed) return failure(failedEdit(number, total, applied.text.replace(/^Error: /, '')));
    text = applied.newText;
  }
  const newText = text ?? '';
  return { path, before, oldText: file.text, newText, next: encodeText({ ...file, text: newText }) };
}

function applyEdit(text: string | null, edit: Edit, hasCrLf: boolean): ToolResult & { newText: string } {
  const name = shown(edit.path);
  const refuse = (message: string) => ({ ...failure(message), newText: '' });
  const added = hasCrLf ? edit.new_text.replaceAll('\r\n', '\n') : edit.new_text;
  if (edit.action === 'add') {
    const seam = text === null || text === '' || text.endsWith('\n') ? '' : '\n';
    return { ...success(''), newText: `${text ?? ''}${seam}${added}` };
  }
  if (text === null) return refuse(`there is no ${name}. Use the action add to make it.`);
  if (edit.old_text === undefined) return refuse('the action replace needs old_text.');
  const request = { old_text: edit.old_text, new_text: edit.new_text };
  return editText(text, hasCrLf ? withPlainLineEnds(request) : request, name);
}

/**
 * Puts all contents beside their files before the first one takes its place, so that a full disk or a missing right is met while
 * nothing is written. The answer is undefined when all are in place.
 */
async function writeAll(changes: readonly FileChange[], context: ToolContext): Promise<ToolResult | undefined> {
  const { workspace, key, signal } = context;
  const staged: StagedFile[] = [];
  let done = 0;
  try {
    for (const { path, next } of changes) staged.push(await workspace.stage(path, next, key));
    signal.throwIfAborted();
    for (const [index, file] of staged.entries()) {
      await file.commit(changes[index]?.before);
      done++;
    }
    return undefined;
  } catch (error) {
    if (!(error instanceof FileRefusal)) throw error;
    const written = staged.slice(0, done).map(({ path }) => shown(path));
    return failure(
      `${error.message} ${written.length === 0 ? 'Nothing was written.' : `Written: ${written.join(', ')}; no other.`}`,
    );
  } finally {
    for (const file of staged.slice(done)) await file.discard();
  }
}

function failedEdit(number: number, total: number, message: string): string {
  return `edit ${number} of ${total} does not fit: ${message} Nothing was written.`;
}

function toDiff({ path, before, oldText, newText }: FileChange): string {
  // The comparison grows with the square of the differences: a large rewrite is named, not shown.
  const options = { context: 3, maxEditLength: 2_000, timeout: 500, headerOptions: FILE_HEADERS_ONLY };
  const diff = createTwoFilesPatch(before === null ? '/dev/null' : path, path, oldText, newText, '', '', options);
  return diff ?? `${shown(path)}: too much changes to be shown.`;
}
