// Turns as executions see them: closing one that no step closes, and what the sweep repairs.
import type { TurnOutcome } from '../workflows/contract.js';
import { findClaimed } from './claims.js';
import { closing, closingPoints, type Ending, lockTurn } from './closing.js';
import type { CrashPointName } from './crash-points.js';
import type { StoreDeps } from './deps.js';
import {
  type ClaimedTurn,
  conversationOf,
  isOpen,
  type TurnRow,
  type TurnState,
  toOwner,
  turnColumns,
} from './rows.js';
import { inTransaction } from './transaction.js';

export interface Closed {
  /** The outcome that stands; `superseded`: another run owns the turn, and nothing was changed. */
  outcome: TurnOutcome | 'superseded';
  claimed: ClaimedTurn[];
}

/**
 * Closes a turn that no step has closed. `owner`: only this run may. Retry: on a closed turn the outcome that stands is returned,
 * and with it the turn that still waits for its run.
 */
export function closeTurn(deps: StoreDeps, turnId: string, owner: string, ending: Ending): Promise<Closed> {
  const points: CrashPointName[] = [];
  return inTransaction(
    deps,
    async (client) => {
      const turn = await lockTurn(client, turnId);
      if (!turn || turn.owner !== owner) return { outcome: 'superseded', claimed: [] };
      if (!isOpen(turn.state)) {
        return { outcome: turn.state as TurnOutcome, claimed: await findClaimed(client, turn.conversationId, turnId) };
      }
      const outcome = turn.markPosition !== null ? 'stopped' : ending.outcome;
      const claimed = await closing(client, deps, turn, { ...ending, outcome });
      points.push(...closingPoints(turn, claimed));
      return { outcome, claimed };
    },
    { points, lock: conversationOf(turnId) },
  );
}

export async function findTurn({ pool }: StoreDeps, turnId: string): Promise<TurnRow | null> {
  const { rows } = await pool.query<TurnRow>({
    name: 'find-turn',
    text: `select ${turnColumns} from turn t where t.id = $1`,
    values: [turnId],
  });
  return rows[0] ?? null;
}

/** The turn that an inbox row belongs to, null while it waits. */
export async function turnOfMessage({ pool }: StoreDeps, inboxId: string): Promise<string | null> {
  const { rows } = await pool.query<{ turnId: string | null }>('select turn_id as "turnId" from inbox where id = $1', [
    inboxId,
  ]);
  return rows[0]?.turnId ?? null;
}

export interface OpenTurn extends ClaimedTurn {
  state: TurnState;
  markedMs: number | null;
  addressId: string | null;
  /** A child whose parent has calls in front of it that have no result yet: it may not begin. */
  mustWait: boolean;
}

/**
 * All open turns, parents before their subagents, read in pages: with a bounded list the same long turns would hide the others from
 * every sweep.
 */
export async function openTurns({ pool }: StoreDeps, pageRows = 500): Promise<OpenTurn[]> {
  const all: OpenTurn[] = [];
  for (;;) {
    // A conversation has one open turn, so its id is the cursor.
    const { rows } = await pool.query<OpenTurn>(
      `select t.id as "turnId", t.owner, t.kind, t.state, t.conversation_id as "conversationId", t.address_id as "addressId",
          coalesce(a.channel, t.kind) as channel,
          coalesce(greatest(0, extract(epoch from t.not_before - now()) * 1000), 0)::int as "delayMs",
          (extract(epoch from now() - t.marked_at) * 1000)::float8 as "markedMs",
          t.state = 'claimed' and exists (select from effect e join effect own on own.turn_id = e.turn_id and own.call_id = t.parent_call_id
            where e.turn_id = t.parent_turn_id and e.state in ('planned', 'started')
              and (e.step, e.ordinal) < (own.step, own.ordinal) and e.child_turn_id is null) as "mustWait"
        from turn t left join address a on a.id = t.address_id
        where t.state in ('claimed', 'running') and t.conversation_id > $2 order by t.conversation_id limit $1`,
      [pageRows, all.at(-1)?.conversationId ?? '0'],
    );
    all.push(...rows);
    if (rows.length < pageRows) return all;
  }
}

/** The engine does not know the run of this turn: a new owner, which whoever finds it set starts, too. */
export async function renewOwner({ pool }: StoreDeps, turnId: string, lostOwner: string): Promise<boolean> {
  const { rowCount } = await pool.query(
    `update turn set owner = $3 where id = $1 and owner = $2 and state in ('claimed', 'running')`,
    [turnId, lostOwner, toOwner(turnId)],
  );
  return (rowCount ?? 0) > 0;
}

/** Calls of `exec` that this host began: in open turns (`open`), and those that have an outcome already or whose turn has ended. */
export async function startedExecs({ pool }: StoreDeps, turnId: string, host: string): Promise<string[]> {
  const { rows } = await pool.query<{ callId: string }>(
    `select call_id as "callId" from effect where turn_id = $1 and attaches and state = 'started' and host = $2`,
    [turnId, host],
  );
  return rows.map((row) => row.callId);
}

/** Of these calls, given as `<turn>/<call>`, those that still run in an open turn. A supervisor of any other one is to be ended. */
export async function liveCalls({ pool }: StoreDeps, keys: string[]): Promise<Set<string>> {
  const { rows } = await pool.query<{ key: string }>(
    `select e.turn_id || '/' || e.call_id as key from effect e join turn t on t.id = e.turn_id
      where e.turn_id || '/' || e.call_id = any($1) and e.state = 'started' and t.state in ('claimed', 'running')`,
    [keys],
  );
  return new Set(rows.map((row) => row.key));
}
