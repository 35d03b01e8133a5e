// Writes what was decided into config.json and leaves everything else in it, comments included, as it was.
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { applyEdits, modify } from 'jsonc-parser';
import { readIfThere, replaceFile } from '../local-stack/files.js';
import type { SetupAnswers } from './answers.js';

const empty = `// Settings of durabot. Every key, with its default, is described in config.schema.json and in the README.
{
}
`;
const formattingOptions = { insertSpaces: true, tabSize: 2, eol: '\n' };

export interface Draft {
  /** The file as it would be. Its mode is 600: it may hold a key. */
  path: string;
  /** False: the file says all of that already. */
  changes: boolean;
  /** Takes the place of the file, as a whole. */
  keep(): Promise<void>;
  drop(): Promise<void>;
}

/** The new file beside the old one, to be read and tried before it counts. */
export async function draftSettings(configPath: string, answers: SetupAnswers): Promise<Draft> {
  const before = await readIfThere(configPath);
  const text = withAnswers(before?.trim() ? before : empty, answers);
  const path = `${configPath}.draft`;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await replaceFile(path, text);
  return {
    path,
    changes: text !== before,
    keep: () => rename(path, configPath),
    drop: () => rm(path, { force: true }),
  };
}

function withAnswers(text: string, { model, workspace, timezone }: SetupAnswers): string {
  const edits: [path: string[], value: unknown][] = [];
  if (model) {
    edits.push(
      [['agents', 'defaults', 'provider'], model.provider],
      [['agents', 'defaults', 'model'], model.model],
      [['providers', model.provider, 'apiBase'], model.apiBase],
      [['providers', model.provider, 'apiKey'], model.apiKey],
    );
  }
  if (workspace !== undefined) edits.push([['agents', 'defaults', 'workspace'], workspace]);
  if (timezone !== undefined) edits.push([['agents', 'defaults', 'timezone'], timezone]);
  return edits.reduce((current, [path, value]) => {
    try {
      return applyEdits(current, modify(current, path, value, { formattingOptions }));
    } catch (error) {
      if (value === undefined) return current; // nothing to take away
      throw error;
    }
  }, text);
}
