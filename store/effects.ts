// The ledger of calls: written before and after each effect, so that a second attempt knows what the first one did.
// planned → started → done, failed or unknown; `not run` when nothing happened and nothing will.
import type { CallOutcome, CallRef, EffectClass } from '../workflows/contract.js';
import { lockTurn } from './closing.js';
import type { StoreDeps } from './deps.js';
import type { Client, Pool } from './pool.js';
import { type Attempt, conversationOf, overtaken, type TurnState } from './rows.js';
import { toJson, toText } from './stored-text.js';
import { inTransaction } from './transaction.js';

export type EffectState = 'planned' | 'started' | CallOutcome['outcome'];

export interface Effect {
  turnId: string;
  callId: string;
  tool: string;
  class: EffectClass;
  state: EffectState;
  decision: 'allow' | 'ask' | 'deny';
  arguments: unknown;
  attaches: boolean;
  token: string | null;
  runId: string | null;
  number: number | null;
  host: string | null;
  memo: unknown;
  bytes: number;
  tainted: boolean;
  /** The last sign of life of the attempt that holds a started call. */
  renewedAt: string | null;
  /** Hashes of the results of equal calls of this turn: what the repeat guard warns from. */
  sameCalls: string[];
}

interface Seen extends Effect {
  turnState: TurnState;
  marked: boolean;
  /** A message of the turn's person and address waits: calls that have not begun are skipped, so that it is heard. */
  unread: boolean;
}

export type Intent =
  /** Run it. `mayStart` false: only join what runs already (a stop has been marked since). */
  { kind: 'go'; effect: Effect; mayStart: boolean } | { kind: 'ended'; outcome: CallOutcome };

/** A `once` call that an earlier attempt began: nobody runs it again; `settleCall` says what is known. */
class Interrupted extends Error {
  constructor() {
    super('This call was begun by an attempt that is gone');
    this.name = 'Interrupted';
  }
}

const effectColumns = `e.turn_id as "turnId", e.call_id as "callId", e.tool, e.class, e.state, e.decision, e.arguments, e.attaches, e.token,
  e.run_id as "runId", e.number, e.host, e.memo, coalesce(e.result_bytes, 0) as bytes, e.tainted, e.renewed_at::text as "renewedAt",
  (select coalesce(jsonb_agg(p.result_hash), '[]') from effect p where p.turn_id = e.turn_id and p.tool = e.tool
    and p.args_hash = e.args_hash and p.call_id <> e.call_id and p.result_hash is not null) as "sameCalls"`;

const steering = `exists (select from inbox i where i.conversation_id = t.conversation_id and i.turn_id is null
  and i.kind = 'message' and i.person_id = t.person_id and i.address_id is not distinct from t.address_id)`;

async function see(pool: Pool | Client, { turnId, callId }: CallRef): Promise<Seen> {
  const { rows } = await pool.query<Seen>({
    name: 'see-effect',
    text: `select ${effectColumns}, t.state as "turnState", t.mark_position is not null as marked, ${steering} as unread
      from effect e join turn t on t.id = e.turn_id where e.turn_id = $1 and e.call_id = $2`,
    values: [turnId, callId],
  });
  if (!rows[0]) throw new Error('the call has no row: its conversation was deleted');
  return rows[0];
}

/**
 * May this attempt run the call? Writes the intent (a `read` writes none). Stop, steering and refusal are enforced here.
 * Retry: an `idempotent` or attaching call is taken over from an earlier attempt, a `once` call never.
 * @throws NotNow `Overtaken` for an attempt that a later one has overtaken; Interrupted for a `once` call that was begun.
 */
export async function intend(deps: StoreDeps, ref: CallRef, attempt: Attempt, host: string): Promise<Intent> {
  const seen = await see(deps.pool, ref);
  if (seen.state === 'planned') {
    if (seen.decision !== 'allow' || seen.turnState !== 'running' || seen.marked) return ended('not run');
    if (seen.unread) return skip(deps, ref);
    if (seen.class === 'read') return { kind: 'go', effect: seen, mayStart: true };
    deps.crashPoint('tool.intend', 'before');
    const started = await start(deps.pool, ref, attempt, host);
    deps.crashPoint('tool.intend', 'after');
    // Something changed between the look and the guarded update: look again.
    return started
      ? { kind: 'go', effect: { ...seen, state: 'started', token: attempt.token, host }, mayStart: true }
      : intend(deps, ref, attempt, host);
  }
  if (seen.state !== 'started') return { kind: 'ended', outcome: toOutcome(seen) };
  return joinStarted(deps, seen, attempt, host);
}

async function joinStarted(deps: StoreDeps, seen: Seen, attempt: Attempt, host: string): Promise<Intent> {
  const mayStart = seen.turnState === 'running' && !seen.marked;
  if (seen.token === attempt.token) {
    if (mayStart || seen.attaches) return { kind: 'go', effect: seen, mayStart };
    // The answer of this intent was lost, and a stop came before it was asked for again: nothing has run under this token.
    const text = 'Error: this call did not run: the turn was stopped.';
    return { kind: 'ended', outcome: await settle(deps, seen, { outcome: 'not run', text }) };
  }
  if (seen.runId === attempt.runId && (seen.number ?? 0) > attempt.number)
    throw overtaken('A later attempt has this call');
  if (seen.attaches && seen.host !== host) {
    return { kind: 'ended', outcome: await settle(deps, seen, { outcome: 'unknown', text: unknownText(seen.tool) }) };
  }
  if (!seen.attaches && seen.class !== 'idempotent') throw new Interrupted();
  if (!seen.attaches && !mayStart) return ended('not run');
  // As in `start`: what is run again after a stop mark only joins what runs already.
  const { rows } = await deps.pool.query<{ mayStart: boolean }>({
    name: 'take-over',
    text: `with t as (select state = 'running' and mark_position is null as may_start from turn where id = $1 for share)
      update effect e set token = $3, run_id = $4, number = $5, renewed_at = now()
      from t where e.turn_id = $1 and e.call_id = $2 and e.state = 'started' and e.token = $6 and (e.attaches or t.may_start)
      returning t.may_start as "mayStart"`,
    values: [seen.turnId, seen.callId, attempt.token, attempt.runId, attempt.number, seen.token],
  });
  const taken = rows[0];
  if (!taken) return intend(deps, seen, attempt, host);
  return { kind: 'go', effect: { ...seen, token: attempt.token }, mayStart: taken.mayStart };
}

// The turn is locked in share mode, so that a stop mark and this start have an order.
async function start(pool: Pool, { turnId, callId }: CallRef, attempt: Attempt, host: string): Promise<boolean> {
  const { rows } = await pool.query({
    name: 'start-effect',
    text: `with t as (select * from turn where id = $1 for share)
      update effect e set state = 'started', token = $3, run_id = $4, number = $5, host = $6, renewed_at = now(), started_at = now()
      from t where e.turn_id = $1 and e.call_id = $2 and e.state = 'planned' and e.decision = 'allow'
        and t.state = 'running' and t.mark_position is null and not ${steering}
      returning e.call_id`,
    values: [turnId, callId, attempt.token, attempt.runId, attempt.number, host],
  });
  return rows.length > 0;
}

async function skip(deps: StoreDeps, ref: CallRef): Promise<Intent> {
  const text =
    'Skipped: a new message of the person arrived before this call began. Read it first, then call again if it is still wanted.';
  const outcome = await write(deps, ref, null, { outcome: 'not run', text, failed: true });
  return outcome ? { kind: 'ended', outcome } : ended('not run');
}

export interface CallResult {
  outcome: CallOutcome['outcome'];
  /** What the model reads. */
  text: string;
  failed?: boolean;
  /** The whole result, when `text` is only a preview of it. */
  whole?: string;
  bytes?: number;
  tainted?: boolean;
  /** Equal for equal results: what the repeat guard compares. */
  hash?: string;
}

/**
 * Records a result, once: ledger and transcript in one transaction. Retry: the outcome that stands is returned.
 * @throws NotNow `Overtaken` when another attempt holds the call: the result is dropped.
 */
export async function finish(deps: StoreDeps, ref: CallRef, token: string, result: CallResult): Promise<CallOutcome> {
  for (const point of ['tool.record', 'transcript.append'] as const) deps.crashPoint(point, 'before');
  const written = await write(deps, ref, token, result);
  for (const point of ['tool.record', 'transcript.append'] as const) deps.crashPoint(point, 'after');
  if (written) return written;
  const seen = await see(deps.pool, ref);
  if (seen.state === 'started') throw overtaken('A later attempt has this call; this result is dropped');
  return seen.state === 'planned' ? { outcome: 'not run', bytes: 0, tainted: false } : toOutcome(seen);
}

// A row that this attempt started, or (token null, or a `read`) one that nobody has.
async function write(
  deps: StoreDeps,
  ref: CallRef,
  token: string | null,
  result: CallResult,
): Promise<CallOutcome | null> {
  if (!result.tainted) return writeResult(deps.pool, deps, ref, token, result);
  return inTransaction(deps, async (client) => {
    await lockTurn(client, ref.turnId); // before the call's row, as everybody does
    const written = await writeResult(client, deps, ref, token, result);
    if (written) await client.query('update turn set tainted = true where id = $1', [ref.turnId]);
    return written;
  });
}

async function writeResult(
  client: Pool | Client,
  deps: StoreDeps,
  { turnId, callId }: CallRef,
  token: string | null,
  result: CallResult,
  lastSign: string | null = null,
): Promise<CallOutcome | null> {
  const bytes = result.bytes ?? Buffer.byteLength(result.text);
  const handle = result.whole === undefined ? {} : { handle: `result:${turnId}/${callId}` };
  const part = {
    kind: 'result',
    callId,
    text: result.text,
    failed: result.failed ?? result.outcome !== 'done',
    ...handle,
  };
  const { rows } = await client.query({
    name: 'write-result',
    text: `with ended as (
        update effect set state = $4, ended_at = now(), result_hash = $5, result_bytes = $6, tainted = $7, memo = null,
          duration_ms = extract(epoch from now() - coalesce(started_at, now())) * 1000
        where turn_id = $1 and call_id = $2
          and ((state = 'planned' and (class = 'read' or $3::text is null)) or (state = 'started' and token = $3))
          and ($12::text is null or renewed_at::text = $12)
        returning step, tool
      ), kept as (
        insert into blob (turn_id, call_id, content, bytes) select $1, $2, $8, $6 from ended where $8::text is not null
        on conflict do nothing
      ), said as (
        insert into entry (conversation_id, turn_id, step, call_id, role, parts, tokens)
        select $9, $1, step, $2, 'tool', jsonb_build_array($10::jsonb || jsonb_build_object('tool', tool)), $11 from ended
        on conflict do nothing
      ) select step from ended`,
    values: [
      turnId,
      callId,
      token,
      result.outcome,
      result.hash ?? null,
      bytes,
      result.tainted ?? false,
      result.whole === undefined ? null : toText(result.whole),
      conversationOf(turnId),
      toJson(part),
      deps.estimateTokens(result.text),
      lastSign,
    ],
  });
  return rows.length > 0 ? { outcome: result.outcome, bytes, tainted: result.tainted ?? false } : null;
}

/** A sign of life of a running call; false when the call is no longer this attempt's: the work is to be aborted. */
export async function renewEffect({ pool }: StoreDeps, { turnId, callId }: CallRef, token: string): Promise<boolean> {
  const { rowCount } = await pool.query({
    name: 'renew-effect',
    text: `update effect set renewed_at = now() where turn_id = $1 and call_id = $2 and token = $3 and state = 'started'`,
    values: [turnId, callId, token],
  });
  return (rowCount ?? 0) > 0;
}

/** Facts that the tool keeps for its next attempt, such as the hashes before and after a write. Refused when overtaken. */
export async function rememberForCall(
  { pool }: StoreDeps,
  { turnId, callId }: CallRef,
  token: string,
  memo: unknown,
): Promise<void> {
  const { rowCount } = await pool.query({
    name: 'remember-for-call',
    text: `update effect set memo = $4 where turn_id = $1 and call_id = $2 and token = $3 and state = 'started'`,
    values: [turnId, callId, token, toJson(memo)],
  });
  if (rowCount === 0) throw overtaken('A later attempt has this call');
}

export interface StandingCall extends Effect {
  turnState: TurnState;
  marked: boolean;
}

/** The call as the ledger has it now, with its last sign of life. */
export async function readCall({ pool }: StoreDeps, { turnId, callId }: CallRef): Promise<StandingCall> {
  const { rows } = await pool.query<StandingCall>({
    name: 'read-call',
    text: `select ${effectColumns}, t.state as "turnState", t.mark_position is not null as marked
      from effect e join turn t on t.id = e.turn_id where e.turn_id = $1 and e.call_id = $2`,
    values: [turnId, callId],
  });
  if (!rows[0]) throw new Error('the call has no row: its conversation was deleted');
  return rows[0];
}

/**
 * Writes, once and for all, what is known of a call whose attempts are gone. Conditional on what was read, its sign of life
 * included: when the row has changed since, the outcome that stands is returned, or `Overtaken` is thrown and the caller looks again.
 */
export async function settle(deps: StoreDeps, seen: Effect, result: CallResult): Promise<CallOutcome> {
  const written = await writeSettled(deps, seen, result);
  if (written) return written;
  const now = await readCall(deps, seen);
  if (now.state === 'planned' || now.state === 'started')
    throw overtaken('The call changed while it was being settled');
  return toOutcome(now);
}

function writeSettled(deps: StoreDeps, seen: Effect, result: CallResult): Promise<CallOutcome | null> {
  if (seen.state === 'planned') return writeResult(deps.pool, deps, seen, null, result);
  return seen.token === null
    ? Promise.resolve(null)
    : writeResult(deps.pool, deps, seen, seen.token, result, seen.renewedAt);
}

export function unknownText(tool: string): string {
  return `Error: ${tool} was interrupted; it may or may not have taken effect. Check before repeating it.`;
}

/** A result, whole, by its handle `result:<turn>/<call>`: of this conversation, its parent's and its subagents'. */
export async function findResult(
  { pool }: StoreDeps,
  conversationId: string,
  handle: string,
): Promise<string | undefined> {
  const match = /^result:(\d+-\d+)\/(s\d+\.c\d+)$/.exec(handle.trim());
  if (!match) return undefined;
  const { rows } = await pool.query<{ content: string }>(
    `with recursive reader as (
        select id, parent_conversation_id from conversation where id = $3
        union all select c.id, c.parent_conversation_id from conversation c join reader r on c.id = r.parent_conversation_id
      )
      select coalesce(b.content, e.parts -> 0 ->> 'text') as content
      from entry e join turn t on t.id = e.turn_id join turn root on root.id = t.root_turn_id
        left join blob b on b.turn_id = e.turn_id and b.call_id = e.call_id
      where e.turn_id = $1 and e.call_id = $2 and e.role = 'tool' and root.conversation_id in (select id from reader)`,
    [match[1], match[2], conversationId],
  );
  return rows[0]?.content;
}

function toOutcome({ state, bytes, tainted }: Effect): CallOutcome {
  return { outcome: state === 'planned' || state === 'started' ? 'unknown' : state, bytes, tainted };
}

function ended(outcome: CallOutcome['outcome']): Intent {
  return { kind: 'ended', outcome: { outcome, bytes: 0, tainted: false } };
}
