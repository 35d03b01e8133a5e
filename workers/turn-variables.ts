// Variables that a person gives to the commands of one turn (`run -e`). They may be secrets, so they never enter a table, a payload or
// a prompt: they lie in a file of this host, readable by its owner only, under the turn's id.
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { readJsonIfWhole, replaceFile } from './local-stack/files.js';

const forgottenAfterMs = 7 * 86_400_000;

function folderIn(home: string): string {
  return join(home, 'data', 'variables');
}

/** Kept before the turn's run is started, so that its first command finds them. Older ones that nobody took away are removed. */
export async function keepVariables(home: string, turnId: string, variables: Record<string, string>): Promise<void> {
  const folder = folderIn(home);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await replaceFile(join(folder, `${turnId}.json`), JSON.stringify(variables));
  for (const name of await readdir(folder)) {
    const found = await stat(join(folder, name)).catch(() => undefined);
    if (found && Date.now() - found.mtimeMs > forgottenAfterMs) await rm(join(folder, name), { force: true });
  }
}

export async function readVariables(home: string, turnId: string): Promise<Record<string, string>> {
  const kept = await readJsonIfWhole(join(folderIn(home), `${turnId}.json`));
  return typeof kept === 'object' && kept !== null ? (kept as Record<string, string>) : {};
}

export async function forgetVariables(home: string, turnId: string): Promise<void> {
  await rm(join(folderIn(home), `${turnId}.json`), { force: true });
}
