// Every recorded run replays on this code, without a server. A shape that no longer does would hang each open turn at the next deploy.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { bundleWorkflowCode, Worker } from '@temporalio/worker';
import { silenceSdk, workflowBundle } from '../support/chat.js';

const folder = join(import.meta.dirname, '../histories');
const names = (await readdir(folder)).filter((name) => name.endsWith('.json'));
silenceSdk();

async function recorded(name: string): Promise<unknown> {
  return JSON.parse(await readFile(join(folder, name), 'utf8'));
}

test('there are recorded runs of every shape that ships', () => {
  expect(names.length).toBeGreaterThanOrEqual(16);
});

test.each(names)('%s replays on this code', async (name) => {
  await Worker.runReplayHistory({ workflowBundle: await workflowBundle() }, await recorded(name), name);
});

test('a workflow that was changed on purpose does not replay', async () => {
  const silent = { log() {}, trace() {}, debug() {}, info() {}, warn() {}, error() {} };
  const workflowsPath = join(import.meta.dirname, 'changed-on-purpose.ts');
  const changed = await bundleWorkflowCode({ workflowsPath, logger: silent });
  const replay = Worker.runReplayHistory({ workflowBundle: changed }, await recorded('no-tool.json'), 'changed');
  await expect(replay).rejects.toMatchObject({ name: 'DeterminismViolationError' });
});
