// The files with which a person shapes the agent. They belong to the person, so they are read anew at each step and never
// copied; a file that nobody has filled in says nothing.
import { FileRefusal } from '../tools/file-refusal.js';
import type { Workspace } from '../tools/workspace.js';

/** In the order in which the model reads them. */
const personaFiles = ['AGENTS.md', 'SOUL.md', 'USER.md', 'TOOLS.md'] as const;

export interface PersonaFile {
  name: string;
  text: string;
}

export interface PersonaDeps {
  workspace: Pick<Workspace, 'open'>;
  /** Name to text of the templates that onboarding writes: a file equal to its template is left out. */
  templates: ReadonlyMap<string, string>;
}

export type ReadPersona = () => Promise<PersonaFile[]>;

const maxChars = 20_000;
const maxBytes = maxChars * 4;

/** Reads a file again only when its time, size or place on the disk has changed. */
export function createReadPersona({ workspace, templates }: PersonaDeps): ReadPersona {
  const known = new Map<string, { state: string; text: string }>();

  async function read(name: string): Promise<string> {
    let file: Awaited<ReturnType<Workspace['open']>>;
    try {
      file = await workspace.open(name);
    } catch (error) {
      // Missing, a folder, a link that leads out: the agent works without it. A broken disk is another matter.
      if (error instanceof FileRefusal) return '';
      throw error;
    }
    try {
      const { ino, size, mtimeNs } = await file.handle.stat({ bigint: true });
      const state = `${ino} ${size} ${mtimeNs}`;
      const before = known.get(name);
      if (before?.state === state) return before.text;
      const { buffer, bytesRead } = await file.handle.read(Buffer.alloc(maxBytes + 4), 0, maxBytes + 4, 0);
      const text = buffer.toString('utf8', 0, bytesRead);
      known.set(name, { state, text });
      return text;
    } finally {
      await file.handle.close();
    }
  }

  return async () => {
    const texts = await Promise.all(personaFiles.map(read));
    return personaFiles.flatMap((name, i) => {
      const text = cleaned(texts[i] ?? '');
      return text === '' || text === cleaned(templates.get(name) ?? '') ? [] : [{ name, text: cut(name, text) }];
    });
  };
}

function cleaned(text: string): string {
  return text
    .replace(/^\uFEFF/, '')
    .replaceAll('\r\n', '\n')
    .trim();
}

function cut(name: string, text: string): string {
  if (text.length <= maxChars) return text;
  return `${text.slice(0, maxChars)}\n\n[${name} is cut here: only its first ${maxChars} characters are shown. Read the file for the rest.]`;
}
