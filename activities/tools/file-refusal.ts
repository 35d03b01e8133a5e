// Why a file could not be had, in words for the model. What no other path or text would cure (a broken disk) is not a refusal.
import type { ToolContext, ToolResult } from './tool.js';
import { failure } from './tool.js';

export type RefusalKind =
  | 'outside'
  | 'missing'
  | 'folder'
  | 'not a folder'
  | 'not a file'
  | 'not text'
  | 'protected'
  | 'bad path'
  | 'too large'
  | 'no access'
  | 'no space'
  | 'changed';

/** `message` says cause and remedy and fits behind `Error: `. */
export class FileRefusal extends Error {
  readonly kind: RefusalKind;
  readonly path: string;

  constructor(kind: RefusalKind, path: string, message: string) {
    super(message);
    this.name = 'FileRefusal';
    this.kind = kind;
    this.path = path;
  }
}

/** A path as it may stand in a sentence: cut, and with invisible characters made visible. */
export function shown(path: string): string {
  const visible = path.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (c) => `\\u{${c.codePointAt(0)?.toString(16)}}`);
  return visible.length > 200 ? `${visible.slice(0, 200)}…` : visible;
}

/** Turns what the operating system says about `path` into a refusal; undefined for everything that is worth another try. */
export function toRefusal(error: unknown, path: string): FileRefusal | undefined {
  if (error instanceof FileRefusal) return error;
  const name = shown(path);
  switch ((error as NodeJS.ErrnoException | undefined)?.code) {
    case 'ENOENT':
      return new FileRefusal('missing', path, `there is no ${name}.`);
    case 'ENOTDIR':
      return new FileRefusal('not a folder', path, `a part of ${name} is not a folder.`);
    case 'EISDIR':
      return new FileRefusal('folder', path, `${name} is a folder.`);
    case 'ELOOP':
      return new FileRefusal(
        'outside',
        path,
        `${name} is a link that changed or runs in a circle. Name the file itself.`,
      );
    case 'EACCES':
    case 'EPERM':
      return new FileRefusal(
        'no access',
        path,
        `${name} may not be read or changed by durabot: its permissions forbid it.`,
      );
    case 'ENAMETOOLONG':
      return new FileRefusal('bad path', path, `the path ${name} is too long.`);
    case 'ENOSPC':
    case 'EDQUOT':
      return new FileRefusal('no space', path, `the disk is full; ${name} was not written.`);
    case 'EROFS':
      return new FileRefusal('no access', path, `${name} lies on a disk that cannot be written.`);
    default:
      return undefined;
  }
}

/**
 * Runs the work of a tool and makes an answer of each refusal, a missing path together with the nearest names. Everything else is
 * thrown on, an abort too: whoever aborted knows the words for it.
 */
export async function answerRefusals(
  { workspace }: Pick<ToolContext, 'workspace'>,
  work: () => Promise<ToolResult>,
): Promise<ToolResult> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof FileRefusal)) throw error;
    if (error.kind !== 'missing') return failure(error.message);
    const near = await workspace.namesNear(error.path);
    return failure(`${error.message} Nearest: ${near.map(shown).join(', ') || 'none'}.`);
  }
}
