// npm run test:crash -- [--rows K1,K4] [--kills 50] [--seed 7] [--first 0] [--out folder] [--broken name] [--fresh] [--keep-all]
// Kills processes until so many blows have fallen in each row, and counts the promises that broke. The same call again goes on where
// the last one ended. DURABOT_CRASH_KILLS sizes it, too. Exit code 1 on any violation.
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { makeBundle } from './bundle.js';
import { checkAll, type Violation } from './invariants.js';
import { openStage } from './processes.js';
import { recoveriesOf } from './recovery.js';
import { replayRuns } from './replay.js';
import { keepLogs, openReport, summary, toResult } from './report.js';
import { openRunner } from './round.js';
import { planRound, rowOf, rows } from './rows.js';

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: rows.map(({ id }) => id).join(',') },
    kills: { type: 'string', default: process.env.DURABOT_CRASH_KILLS ?? '10' },
    seed: { type: 'string', default: '1' },
    /** The first index of each row: to repeat one round, give it with --kills 1. */
    first: { type: 'string', default: '0' },
    out: { type: 'string' },
    broken: { type: 'string' },
    fresh: { type: 'boolean', default: false },
    'keep-all': { type: 'boolean', default: false },
  },
});
const kills = Number(values.kills);
const seed = Number(values.seed);
const chosen = values.rows.split(',').map(rowOf);
const folder = values.out ?? join(tmpdir(), 'durabot-crash-runs', `${values.rows}-seed-${seed}`);
if (values.fresh) rmSync(folder, { recursive: true, force: true });
const report = openReport(folder, { keepAll: values['keep-all'] });
const say = (line: string) => void process.stderr.write(`${line}\n`);
let interrupted = false;
process.once('SIGINT', () => {
  interrupted = true;
  say('Ending after this round.');
});

say(`Results in ${folder}`);
const bundle = await makeBundle(join(folder, 'workflow-bundle.js'));
const stage = await openStage({ bundle });
const runner = await openRunner({ stage, silenceMs: 1_500, brokenBuild: values.broken });
let number = 0;
try {
  for (const row of chosen) {
    const done = () => report.results().filter((result) => result.row === row.id);
    const fallen = () => done().reduce((sum, { blows }) => sum + blows, 0);
    // Points that a load does not pass must not make this endless.
    for (
      let index = Number(values.first) + done().length;
      fallen() < kills && done().length < 3 * kills + 100;
      index++
    ) {
      if (interrupted) break;
      const began = new Date();
      const seen = await runner.run(planRound(row, index, seed, () => ++number));
      const violations: Violation[] = checkAll(seen);
      if (violations.length === 0) violations.push(...(await replayRuns(runner.client(), { codePath: bundle }, began)));
      const result = toResult(seen, violations, recoveriesOf(seen));
      report.add(result, seen);
      if (violations.length > 0) await keepLogs(stage.home, report.folderOf(result));
      const points = seen.strikes.map(({ point, victim }) => point ?? victim).join(' ') || 'not reached';
      say(
        `${row.id}-${index} ${fallen()}/${kills} ${points}: ${violations.length} violations, ${(result.tookMs / 1000).toFixed(1)} s` +
          `${result.recoveries.map(({ kind, ms }) => `, ${kind} ${ms} ms`).join('')}`,
      );
      for (const { id, what } of violations) say(`    ${id}: ${what}`);
    }
  }
} finally {
  await runner.close();
  await stage.close();
}
process.stdout.write(`${summary(report.results())}\n`);
process.exitCode = report.results().some(({ violations }) => violations.length > 0) ? 1 : 0;
