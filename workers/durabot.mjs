#!/usr/bin/env node
// The command itself. In a clone it first does what set-up is missing, so that `node workers/durabot.mjs …` just works.
import { SetUpError, setUp } from './local-stack/set-up.mjs';

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 12)) {
  process.stderr.write(
    `durabot needs Node 20.12 or newer; this is ${process.version}. Install a current Node and start again.\n`,
  );
  process.exit(1);
}

try {
  await setUp();
} catch (error) {
  if (!(error instanceof SetUpError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
}
const { main } = await import('../dist/workers/cli.js');
await main(process.argv.slice(2));
