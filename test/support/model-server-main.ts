// The scripted model as a process of its own, so that kill tests can end everything else:
//   node test/support/run-typescript.mjs test/support/model-server-main.ts --calls 3 --tool write_file --journal requests.jsonl
// Its first line on stdout is {"baseUrl": "…"}. POST /release lets a held answer go on. Ends on SIGTERM.
import { parseArgs } from 'node:util';
import { numberedMessages, startModelServer } from './model-server.js';

const { values } = parseArgs({
  options: {
    calls: { type: 'string', default: '0' },
    tool: { type: 'string', default: 'write_file' },
    parallel: { type: 'boolean', default: false },
    'chunk-delay-ms': { type: 'string' },
    'held-after': { type: 'string' },
    journal: { type: 'string' },
    port: { type: 'string', default: '0' },
  },
});
const number = (text: string | undefined) => (text === undefined ? undefined : Number(text));

const server = await startModelServer({
  script: numberedMessages({
    calls: Number(values.calls),
    tool: values.tool,
    parallel: values.parallel,
    manner: { chunkDelayMs: number(values['chunk-delay-ms']), heldAfter: number(values['held-after']) },
  }),
  journal: values.journal,
  port: Number(values.port),
});
process.stdout.write(`${JSON.stringify({ baseUrl: server.baseUrl })}\n`);
// Open streams are cut: whoever ends the oracle has ended the round.
process.once('SIGTERM', () => process.exit(0));
