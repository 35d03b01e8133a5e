// npm run bench: set-up, a stack of its own whose PostgreSQL waits for the disk as the product's does, then the table.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openTestStack } from '../test/support/test-stack.mjs';
import { setUp } from '../workers/local-stack/set-up.mjs';

const root = fileURLToPath(new URL('../', import.meta.url));
const say = (line) => process.stderr.write(`${line}\n`);

await setUp();
const stack = await openTestStack({ say, withoutSync: false });
try {
  process.exitCode = await run([
    join(root, 'test/support/run-typescript.mjs'),
    join(root, 'bench/run.ts'),
    ...process.argv.slice(2),
  ]);
} finally {
  await stack.close();
}

function run(args) {
  const child = spawn(process.execPath, args, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ...stack.environment },
  });
  // Ctrl-C reaches the child, too; the servers are ended when it is gone.
  process.on('SIGINT', () => {});
  return new Promise((resolve) => child.once('close', (code) => resolve(code ?? 130)));
}
