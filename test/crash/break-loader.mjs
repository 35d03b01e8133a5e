// Makes a broken build while its modules are loaded: each edit replaces one passage of one file of dist/. A passage that is not
// there, or there twice, is an error: else a build that breaks nothing would pass for one that was caught.
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

let edits = [];

export function initialize(data) {
  edits = data;
}

export async function load(url, context, next) {
  const mine = edits.filter(({ file }) => url.endsWith(`/dist/${file}`));
  if (mine.length === 0) return next(url, context);
  let source = await readFile(fileURLToPath(url), 'utf8');
  for (const { file, find, put } of mine) {
    if (source.split(find).length !== 2) throw new Error(`broken build: ${file} holds "${find}" not exactly once`);
    source = source.replace(find, () => put);
  }
  return { format: 'module', source, shortCircuit: true };
}
