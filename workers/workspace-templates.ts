// The agent's folder and the files with which a person shapes it, as they are written at the first start.
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { errorCode } from './local-stack/files.js';

const folder = fileURLToPath(new URL('./templates', import.meta.url));

/** Name to text. A file that still equals its template says nothing to the model. */
export async function readTemplates(): Promise<Map<string, string>> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.md')).sort();
  return new Map(
    await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name), 'utf8')] as const)),
  );
}

/**
 * Makes the workspace if it is missing. The templates are written into an empty one only: what a person deletes stays deleted.
 * Two processes at once: nobody overwrites anything.
 */
export async function makeWorkspace(root: string, templates: ReadonlyMap<string, string>): Promise<void> {
  await mkdir(root, { recursive: true, mode: 0o700 });
  if ((await readdir(root)).length === 0) await writeMissing(root, templates);
}

/** Writes the templates that are not there and answers with their names. */
export async function writeMissing(root: string, templates: ReadonlyMap<string, string>): Promise<string[]> {
  const written: string[] = [];
  for (const [name, text] of templates) {
    try {
      await writeFile(join(root, name), text, { flag: 'wx', mode: 0o600 });
      written.push(name);
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error;
    }
  }
  return written;
}
