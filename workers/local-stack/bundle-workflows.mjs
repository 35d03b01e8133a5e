// node bundle-workflows.mjs <workflows> <target>: the workflows as one file. A process of its own, because the
// bundler's packages may only just have been installed and cost 400 ms to load, which a start without work should not pay.
import { rename, writeFile } from 'node:fs/promises';
import { bundleWorkflowCode } from '@temporalio/worker';

const [workflowsPath, target] = process.argv.slice(2);
const { code } = await bundleWorkflowCode({ workflowsPath });
await writeFile(`${target}.new`, code);
await rename(`${target}.new`, target);
