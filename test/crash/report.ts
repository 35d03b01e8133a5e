// What a run of kill tests found, kept line by line so that a run that was cut off goes on where it was.
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { requestsAgain, type Violation } from './invariants.js';
import { percentilesOf, type Recovery } from './recovery.js';
import type { Observation } from './round.js';

export interface RoundResult {
  row: string;
  index: number;
  blows: number;
  notReached: string[];
  violations: Violation[];
  recoveries: Recovery[];
  /** Requests to models, and those of them that a blow made necessary. */
  asked: number;
  askedAgain: number;
  /** Requests again because the engine took a busy worker for a dead one. */
  falseAlarms: number;
  tookMs: number;
}

export function toResult(seen: Observation, violations: Violation[], recoveries: Recovery[]): RoundResult {
  const asked = seen.lines.filter((line) => line.kind === 'asked');
  const again = requestsAgain(seen);
  return {
    row: seen.plan.row,
    index: seen.plan.index,
    blows: seen.strikes.length,
    notReached: seen.notReached,
    violations,
    recoveries,
    asked: asked.length,
    askedAgain: again.length,
    falseAlarms: again.filter(({ cause }) => cause === 'false alarm').length,
    tookMs: Math.round(seen.tookMs),
  };
}

export interface Report {
  results(): readonly RoundResult[];
  add(result: RoundResult, seen: Observation): void;
  /** Where everything of a round with a violation is kept. */
  folderOf(result: RoundResult): string;
}

/** `keepAll`: also of rounds without a violation. */
export function openReport(folder: string, { keepAll = false } = {}): Report {
  const file = join(folder, 'results.jsonl');
  mkdirSync(folder, { recursive: true });
  const results = existsSync(file)
    ? readFileSync(file, 'utf8')
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as RoundResult)
    : [];
  const folderOf = ({ row, index }: RoundResult) => join(folder, 'violations', `${row}-${index}`);
  return {
    results: () => results,
    add(result, seen) {
      results.push(result);
      appendFileSync(file, `${JSON.stringify(result)}\n`);
      if (result.violations.length === 0 && !keepAll) return;
      mkdirSync(folderOf(result), { recursive: true });
      const written = [...seen.workspace.written];
      writeFileSync(
        join(folderOf(result), 'seen.json'),
        JSON.stringify({ ...seen, workspace: { ...seen.workspace, written }, violations: result.violations }, null, 1),
      );
    },
    folderOf,
  };
}

/** The logs of the processes, beside what was seen. */
export async function keepLogs(home: string, folder: string): Promise<void> {
  await cp(join(home, 'logs'), join(folder, 'logs'), { recursive: true });
  for (const name of ['serve', 'worker', 'gateway']) {
    await cp(join(dirname(home), `${name}.log`), join(folder, `${name}.stderr.log`)).catch(() => {}); // not of this cast
  }
}

export function summary(results: readonly RoundResult[]): string {
  const lines: string[] = [];
  const kills = results.reduce((sum, { blows }) => sum + blows, 0);
  const wrong = results.flatMap((result) => result.violations.map((violation) => ({ ...violation, result })));
  lines.push(`${kills} blows in ${results.length} rounds, ${wrong.length} violations`);
  for (const row of new Set(results.map((result) => result.row))) {
    const mine = results.filter((result) => result.row === row);
    const sum = (of: (result: RoundResult) => number) => mine.reduce((total, result) => total + of(result), 0);
    lines.push(
      `${row.padEnd(5)} ${String(sum(({ blows }) => blows)).padStart(4)} blows, ${sum(({ violations }) => violations.length)} violations, ` +
        `${sum(({ asked }) => asked)} model requests (${sum(({ askedAgain }) => askedAgain)} again, ${sum(({ falseAlarms }) => falseAlarms)} by false alarms), not reached: ${sum(({ notReached }) => notReached.length)}`,
    );
  }
  const recoveries = results.flatMap((result) => result.recoveries);
  for (const kind of new Set(recoveries.map((recovery) => recovery.kind))) {
    const { count, p50, p95, p99, max } = percentilesOf(
      recoveries.filter((one) => one.kind === kind).map(({ ms }) => ms),
    );
    lines.push(`recovery, ${kind.padEnd(16)} n ${count}, p50 ${p50} ms, p95 ${p95}, p99 ${p99}, max ${max}`);
  }
  for (const { id, what, result } of wrong) lines.push(`VIOLATION ${id} in ${result.row}-${result.index}: ${what}`);
  return lines.join('\n');
}
