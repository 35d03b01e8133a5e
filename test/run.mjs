// npm test: set-up, one PostgreSQL and one Temporal for all files, then jest twice: what needs no server, then what does.
//   npm test -- store         only files whose path matches
//   node test/run.mjs --stack-only [--write-env PATH]
//                             the two servers, and export lines for running single files, until Ctrl-C
// The servers live in a home of their own under the temporary folder and are stopped and removed however this ends.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { setUp } from '../workers/local-stack/set-up.mjs';
import { openTestStack } from './support/test-stack.mjs';

const root = fileURLToPath(new URL('../', import.meta.url));
const results = join(root, 'test', '.results');
const lingerMs = 20_000;
const say = (line) => process.stderr.write(`${line}\n`);

const { values, positionals: patterns } = parseArgs({
  options: { 'stack-only': { type: 'boolean' }, 'write-env': { type: 'string' } },
  allowPositionals: true,
});

let interrupted;
let jest;
const interruption = new Promise((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      interrupted = signal;
      jest?.kill('SIGTERM');
      resolve();
    });
  }
});

await setUp({ lenient: true }); // types are the matter of `npm run check`; here somebody may be in the middle of an edit
process.exitCode = values['stack-only'] ? await stackOnly() : await runAll();

async function stackOnly() {
  const stack = await openTestStack({ say });
  try {
    const exports = Object.entries(stack.environment).map(([name, value]) => `export ${name}='${value}'`);
    if (values['write-env']) await writeFile(values['write-env'], `${exports.join('\n')}\n`, { mode: 0o600 });
    process.stdout.write(`${exports.join('\n')}\n`);
    say('The test stack is up. Ctrl-C ends it.');
    const stayAwake = setInterval(() => undefined, 60_000);
    await interruption;
    clearInterval(stayAwake);
  } finally {
    if (values['write-env']) await rm(values['write-env'], { force: true });
    await stack.close();
  }
  return 0;
}

async function runAll() {
  const files = (await readdir(join(root, 'test'), { recursive: true }))
    .filter((path) => path.endsWith('.test.ts'))
    .filter(
      (path) => patterns.length === 0 || patterns.some((pattern) => new RegExp(pattern).test(join('test', path))),
    );
  const needStack = files.filter((path) => path.endsWith('.stack.test.ts'));
  const fast = files.filter((path) => !path.endsWith('.stack.test.ts'));
  if (files.length === 0) {
    say(`No test file matches ${patterns.join(' ')}.`);
    return 1;
  }
  await rm(results, { recursive: true, force: true });
  await mkdir(results, { recursive: true });
  const totals = { passed: 0, failed: 0, skipped: 0, ok: true };
  if (fast.length > 0) await runJest('fast', fast, {}, totals);
  if (needStack.length > 0 && !interrupted) {
    const stack = await openTestStack({ say });
    try {
      if (!interrupted) await runJest('stack', needStack, stack.environment, totals);
    } finally {
      await stack.close();
    }
  }
  if (interrupted) {
    say(`Interrupted by ${interrupted}.`);
    return 130;
  }
  const skipped = totals.skipped > 0 ? `, ${totals.skipped} skipped` : '';
  process.stdout.write(`${totals.passed} passed, ${totals.failed} failed${skipped}\n`);
  return totals.ok && totals.failed === 0 ? 0 : 1;
}

async function runJest(name, files, environment, totals) {
  const outputFile = join(results, `${name}.json`);
  say(`Running ${files.length} test files (${name === 'fast' ? 'no servers' : 'with PostgreSQL and Temporal'})`);
  const args = [
    join(root, 'node_modules', 'jest', 'bin', 'jest.js'),
    '--runTestsByPath',
    ...files.map((path) => join('test', path)),
    ...['--maxWorkers=2', '--json', `--outputFile=${outputFile}`],
  ];
  jest = spawn(process.execPath, args, {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'], // the report is on stderr; stdout would repeat it all as JSON
    env: {
      ...process.env,
      ...environment,
      NODE_OPTIONS: '--experimental-vm-modules --disable-warning=ExperimentalWarning',
    },
  });
  const code = await endOf(jest, outputFile);
  jest = undefined;
  if (interrupted) return;
  const report = JSON.parse(await readFile(outputFile, 'utf8'));
  totals.passed += report.numPassedTests;
  // A file that does not even load has no tests that could fail, and must not pass for that.
  totals.failed += report.numFailedTests + report.numRuntimeErrorTestSuites;
  totals.skipped += report.numPendingTests + report.numTodoTests;
  if (code !== 0 || !report.success) totals.ok = false;
}

// The report is there and yet the process goes on: some test left a handle open. That is a failure, and no reason to wait for ever.
async function endOf(child, outputFile) {
  const closed = new Promise((resolve) => child.once('close', resolve));
  let reportedAt;
  const watch = setInterval(() => {
    if (!existsSync(outputFile)) return;
    reportedAt ??= Date.now();
    if (Date.now() - reportedAt < lingerMs) return;
    say('jest does not end: a test left a connection, a timer or a process open.');
    child.kill('SIGKILL');
  }, 1000);
  const code = await closed;
  clearInterval(watch);
  return code;
}
