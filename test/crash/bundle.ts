// The workflow bundle of kill tests: what ships, and a sink that a crash point hangs on.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bundleWorkflowCode } from '@temporalio/worker';

const silent = { log() {}, trace() {}, debug() {}, info() {}, warn() {}, error() {} };

/** Made from the sources; `path` is where it is put. */
export async function makeBundle(path: string): Promise<string> {
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(import.meta.dirname, '../../workflows/index.ts'),
    workflowInterceptorModules: [join(import.meta.dirname, 'task-sink.ts')],
    logger: silent,
  });
  await writeFile(path, code);
  return path;
}
