// The oracle as a process: node test/support/run-typescript.mjs test/crash/oracle-main.ts <journal>
// Its first line on stdout is {"modelUrl": "…", "url": "…"}. Ends on SIGTERM, or when whoever started it is gone.
import { startOracle } from './oracle.js';

const { modelUrl, url } = await startOracle({ journal: process.argv[2] ?? 'journal.jsonl' });
process.stdout.write(`${JSON.stringify({ modelUrl, url })}\n`);
process.once('SIGTERM', () => process.exit(0));
process.stdin.once('close', () => process.exit(0)).resume();
