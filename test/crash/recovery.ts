// I9, a measurement and never a test: how long a turn stood still after a blow. From the blow to the first request that belongs to an
// interrupted turn, by the oracle's clock.
import { turnOfNumber } from './invariants.js';
import type { Line } from './journal.js';
import type { Observation, Strike } from './round.js';

export type RecoveryKind = 'restart' | 'second worker' | 'interrupted once' | 'server away' | 'freeze';

export interface Recovery {
  kind: RecoveryKind;
  ms: number;
  row: string;
  point?: string;
}

/** Blows that interrupted nothing yield nothing. */
export function recoveriesOf(seen: Observation): Recovery[] {
  return seen.strikes.flatMap((strike) => {
    const next = nextProgress(seen, strike);
    if (next === undefined) return [];
    return [{ kind: kindOf(seen, strike), ms: Math.round(next - strike.at), row: seen.plan.row, point: strike.point }];
  });
}

function kindOf({ plan, store, lines }: Observation, strike: Strike): RecoveryKind {
  if (strike.kind === 'freeze') return 'freeze';
  if (strike.victim === 'temporal' || strike.victim === 'postgres' || strike.victim === 'everything')
    return 'server away';
  const cut = new Set(lines.flatMap((line) => (isCut(line, strike) && 'name' in line ? [line.name] : [])));
  const once = store.effects.some(({ tool, state, arguments: { name } }) => {
    return tool === 'mail' && state === 'unknown' && typeof name === 'string' && cut.has(name);
  });
  if (once) return 'interrupted once';
  return plan.processes.filter((role) => role === 'worker').length > 1 ? 'second worker' : 'restart';
}

function isCut(line: Line, strike: Strike): boolean {
  return 'how' in line && line.how === 'aborted' && line.at > strike.at - 20 && line.at < strike.at + 150;
}

/** Of the turns that were open when it fell; where another worker lives, only of those whose request was cut off by it. */
function nextProgress(seen: Observation, strike: Strike): number | undefined {
  const { lines, plan } = seen;
  const many = plan.processes.filter((role) => role === 'worker').length > 1;
  const interrupted = new Set(
    many ? lines.flatMap((line) => (isCut(line, strike) ? [rootOf(line)] : [])) : openAt(seen, strike.at),
  );
  return lines.find((line) => line.at > strike.at + 20 && isRequest(line) && interrupted.has(rootOf(line)))?.at;
}

function isRequest({ kind }: Line): boolean {
  return kind === 'asked' || kind === 'effect';
}

/** The number of the message that a line goes back to. */
function rootOf(line: Line): string {
  const name = 'turn' in line ? line.turn : 'name' in line ? line.name : '';
  return name.split('.')[0] ?? '';
}

/** Messages that the model had been asked about, and whose answer was not out yet. */
function openAt(seen: Observation, at: number): string[] {
  const before = seen.lines.filter((line) => line.at < at);
  const asked = new Set(before.flatMap((line) => (line.kind === 'asked' ? [rootOf(line)] : [])));
  const sent = before.flatMap((line) => (line.kind === 'sent' ? [line.key] : []));
  return [...asked].filter((number) => {
    const turn = turnOfNumber(seen, number);
    return turn && !sent.some((key) => key.startsWith(`${turn.id}/`));
  });
}

export interface Percentiles {
  count: number;
  p50: number;
  p95: number;
  p99: number;
  max: number;
}

export function percentilesOf(values: readonly number[]): Percentiles {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
  return { count: sorted.length, p50: at(0.5), p95: at(0.95), p99: at(0.99), max: sorted.at(-1) ?? 0 };
}
