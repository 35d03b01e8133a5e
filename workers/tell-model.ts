import { join } from 'node:path';
import type { Config } from './config.js';
import { readIfThere, replaceFile } from './local-stack/files.js';
import { type Models, modelAdvice } from './models.js';

/** Who configured no model is told once which one was chosen, and how to change it; and again when the choice has become another one. */
export async function tellChosenModel(
  { home, agent }: Config,
  models: Models,
  say: (line: string) => void,
): Promise<void> {
  const words = modelAdvice(models);
  if (models.standard.kind === 'impossible') return say(words);
  if (agent.model !== undefined) return undefined;
  const path = join(home, 'data', 'model-told');
  if ((await readIfThere(path)) === words) return undefined;
  await replaceFile(path, words);
  return say(`Model: ${words}.`);
}
