// What is under way, in a few lines: for `status` and for /status in a chat.
import { isPaused } from '../store/installation.js';
import { type OpenTurnLine, openTurnLines } from '../store/overview.js';
import type { Pool } from '../store/pool.js';
import { countWorkers } from '../store/workers.js';

export interface OpenWork {
  turns: OpenTurnLine[];
  workers: number;
  paused: boolean;
}

export async function readOpenWork(pool: Pool): Promise<OpenWork> {
  const [turns, workers, paused] = await Promise.all([openTurnLines({ pool }), countWorkers(pool), isPaused({ pool })]);
  return { turns, workers, paused };
}

export function openWorkLines({ turns, workers, paused }: OpenWork, now = Date.now()): string[] {
  const work = workers === 0 ? 'none: turns sleep until one starts' : String(workers);
  return [
    `workers     ${work}${paused ? ', paused: no step begins' : ''}`,
    ...(turns.length === 0
      ? ['turns       none open']
      : turns.map((turn, index) => `${index === 0 ? 'turns' : ''}`.padEnd(12) + toLine(turn, now))),
  ];
}

function toLine(
  { turnId, kind, state, address, title, label, parentTurnId, steps, startedAt }: OpenTurnLine,
  now: number,
): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(startedAt)) / 1000));
  const since = seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
  const what =
    kind === 'subagent'
      ? `subagent of ${parentTurnId}${label ? `, ${label}` : ''}`
      : `${address ?? kind}, "${title ?? ''}"`;
  return `${turnId} ${state === 'claimed' ? 'waiting' : 'running'} for ${since}, ${steps} ${steps === 1 ? 'step' : 'steps'}: ${what}`;
}
