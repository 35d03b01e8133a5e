// The two transactions of a step. Opening decides whether this attempt may ask the model, recording whether its answer counts:
// a recorded step is returned as it is and never bought twice, and only the attempt that opened last may record.
import type { PlannedCall, StepResult } from '../workflows/contract.js';
import { type Brief, planChildren } from './children.js';
import { findClaimed } from './claims.js';
import { closing, closingPoints } from './closing.js';
import type { CrashPointName } from './crash-points.js';
import type { StoreDeps } from './deps.js';
import type { Entry } from './entry.js';
import { joinable, joiningSql } from './joining.js';
import type { Client } from './pool.js';
import {
  type Attempt,
  type ClaimedTurn,
  conversationOf,
  isOpen,
  NotNow,
  overtaken,
  type TurnRow,
  turnColumns,
} from './rows.js';
import { toJson } from './stored-text.js';
import { inTransaction } from './transaction.js';
import { type BookedUsage, bookUsage, bookUsageSql, type UsageRow } from './usage.js';

/** What a provider's failures have done to this turn so far; judged by the attempt that fails next. */
export interface Outage {
  failures: number;
  lastsMs: number;
}

export type LimitReason = 'model calls' | 'work' | 'tokens' | 'money' | 'repeated calls';

export type OpenedStep =
  | { kind: 'settled'; result: StepResult; claimed: ClaimedTurn[] }
  | {
      kind: 'open';
      turn: TurnRow;
      limit: LimitReason | null;
      outage: Outage;
      channel: string;
      repeatedCalls: string[];
    };

/** A call as the store keeps it: what the engine may see, and beside it what it may not. */
export interface CallPlan extends PlannedCall {
  /** JSON as the model wrote it, shown to the model again. */
  written: string;
  /** Repaired and validated. */
  arguments: unknown;
  /** The call does not run: this is its result. */
  refusal?: string;
  /** The call was refused for being repeated: three of these are a limit. */
  repeated?: true;
  brief?: Brief;
}

export interface StepRecord {
  turnId: string;
  step: number;
  attempt: Attempt;
  text: string;
  calls: CallPlan[];
  /** What the next calls are answered with when a step asks for more than it may. */
  limit: LimitReason | null;
  usage: BookedUsage;
  finishReason: string;
  providerBlock?: unknown;
  firstTokenMs: number | null;
}

/** What decides whether a step may be opened or recorded at all. */
interface Standing extends TurnRow {
  recorded: StepResult | null;
  recordedToken: string | null;
  active: string | null;
  ancestorMarked: boolean;
}

/** What else an opening needs. */
interface Facts extends Standing {
  openCalls: number;
  unread: boolean;
  /** What is unread holds text from outside: the result of a subagent that has read some. */
  tainting: boolean;
  parentState: TurnRow['state'] | null;
  paused: boolean;
  kin: number;
  workMs: number;
  tokens: number;
  costMicros: number;
  outageFailures: number;
  outageMs: number;
  outageOverdue: boolean;
  channel: string;
  /** Calls of this turn that have returned the same result three times, as `<tool> <argsHash>`: a further one is refused. */
  repeatedCalls: string[];
}

const standingColumns = `${turnColumns}, s.result as recorded, s.token as "recordedToken", c.active_turn as active,
    coalesce(p.marked_at, g.marked_at) is not null as "ancestorMarked"`;
const standingTables = `turn t
    join conversation c on c.id = t.conversation_id
    left join step s on s.turn_id = t.id and s.step = $2
    left join turn p on p.id = t.parent_turn_id
    left join turn g on g.id = p.parent_turn_id`;

// Each is one statement after the one that took the conversation's lock: an older snapshot would hide what was committed meanwhile.
const standingSql = `select ${standingColumns} from ${standingTables} where t.id = $1 for no key update of t`;
const factsSql = `
  select ${standingColumns}, p.state as "parentState", coalesce(a.channel, t.kind) as channel,
    array(select tool || ' ' || args_hash from effect e where e.turn_id = t.id and e.result_hash is not null
      group by tool, args_hash, result_hash having count(*) >= 3) as "repeatedCalls",
    f.open as "openCalls", w.unread, w.tainting,
    exists (select from installation where key = 'paused' and value = 'true') as paused,
    case when t.state = 'claimed' and t.parent_turn_id is not null then (
      select count(*) from turn k join turn kp on kp.id = k.parent_turn_id
      where k.state = 'running' and kp.conversation_id = p.conversation_id) else 0 end::int as kin,
    ((select coalesce(sum(duration_ms), 0) from step x where x.turn_id = t.id) + f.duration)::float8 as "workMs",
    u.tokens, u.cost as "costMicros", t.outage_failures as "outageFailures",
    coalesce(extract(epoch from now() - t.outage_since) * 1000, 0)::float8 as "outageMs",
    coalesce(t.outage_next_at < now() - interval '5 minutes', false) as "outageOverdue"
  from ${standingTables}
    left join address a on a.id = t.address_id
    cross join lateral (
      select count(*) filter (where state in ('planned', 'started') and step < $2)::int as open, coalesce(sum(duration_ms), 0) as duration
      from effect where turn_id = t.id) f
    cross join lateral (
      select coalesce(sum(input_tokens + output_tokens), 0)::float8 as tokens, coalesce(sum(cost_micros), 0)::float8 as cost
      from usage where root_turn_id = t.root_turn_id) u
    cross join lateral (
      select count(*) > 0 as unread, coalesce(bool_or((body ->> 'tainted')::boolean), false) as tainting from (
        select i.body from inbox i where i.conversation_id = t.conversation_id and ${joinable}
        union all select i.body from inbox i where i.turn_id = t.id and not i.entered) waiting) w
  where t.id = $1 for no key update of t`;

// The conversation is locked already: see `lock` of the transaction.
async function lockFacts(client: Client, turnId: string, step: number): Promise<Facts> {
  const { rows } = await client.query<Facts>({ name: 'step-facts', text: factsSql, values: [turnId, step] });
  return found(rows[0]);
}

async function lockStanding(client: Client, turnId: string, step: number): Promise<Standing> {
  const { rows } = await client.query<Standing>({ name: 'step-standing', text: standingSql, values: [turnId, step] });
  return found(rows[0]);
}

function found<Row>(row: Row | undefined): Row {
  if (!row) throw new Error('the turn has no row: its conversation was deleted');
  return row;
}

/** A step that ends a turn answers alike for ever, and whoever finds it starts the conversation's claimed turn once more. */
function standing(facts: Standing): StepResult {
  return { state: facts.state === 'answered' || facts.state === 'limit' ? facts.state : 'stopped', calls: [] };
}

function mayGoOn(facts: Standing): boolean {
  return facts.active === facts.id && isOpen(facts.state) && facts.markPosition === null && !facts.ancestorMarked;
}

const openSql = `update turn set state = 'running', started_at = coalesce(started_at, now()), opened_at = clock_timestamp(),
    open_step = $3, open_token = $4, open_run_id = $5, open_attempt = $6,
    outage_since = case when $7 then null else outage_since end, outage_failures = case when $7 then 0 else outage_failures end,
    tainted = tainted or $8
  where conversation_id = $1 and id = $2`;

/**
 * Opens a step, or says what stands instead. Messages of the turn's person and address join here. Retry: the newest attempt of a
 * run opens it anew and takes the token; an older one is refused.
 * @throws NotNow `Overtaken`, `Paused`, `Busy`: the attempt fails retryably.
 */
export function openStep(
  deps: StoreDeps,
  { turnId, step, attempt }: { turnId: string; step: number; attempt: Attempt },
): Promise<OpenedStep> {
  return inTransaction(
    deps,
    async (client) => {
      const facts = await lockFacts(client, turnId, step);
      const settled = (result: StepResult, claimed: ClaimedTurn[] = []): OpenedStep => ({
        kind: 'settled',
        result,
        claimed,
      });
      if (facts.owner !== attempt.workflowId) return settled({ state: 'superseded', calls: [] });
      if (facts.recorded) {
        const closed = facts.recorded.state !== 'open';
        return settled(facts.recorded, closed ? await findClaimed(client, facts.conversationId, turnId) : []);
      }
      if (!mayGoOn(facts)) return settled(standing(facts));
      const overtakenBy =
        facts.openStep === step && facts.openRunId === attempt.runId && (facts.openAttempt ?? 0) > attempt.number;
      if (overtakenBy) throw overtaken('A later attempt has opened this step');
      if (facts.openCalls > 0) throw overtaken('An earlier call has no result yet');
      if (facts.waited && facts.parentState && !isOpen(facts.parentState))
        return settled({ state: 'stopped', calls: [] });
      if (facts.paused) throw new NotNow('Paused', 'The agent is paused', 5_000);
      if (facts.kin >= deps.limits.childrenAtOnce) {
        throw new NotNow('Busy', `${facts.kin} subagents of this conversation are running`, 2_000);
      }
      const { token, runId, number } = attempt;
      await client.query({
        ...(facts.unread
          ? { name: 'open-and-join', text: `with opened as (${openSql}), ${joiningSql}` }
          : { name: 'open-step', text: openSql }),
        values: [facts.conversationId, turnId, step, token, runId, number, facts.outageOverdue, facts.tainting],
      });
      const outage = facts.outageOverdue
        ? { failures: 0, lastsMs: 0 }
        : { failures: facts.outageFailures, lastsMs: facts.outageMs };
      const { channel, repeatedCalls } = facts;
      const turn = { ...facts, tainted: facts.tainted || facts.tainting };
      return { kind: 'open', turn, limit: reachedLimit(facts), outage, channel, repeatedCalls };
    },
    // Lost in a crash of PostgreSQL, the step is opened anew: the answer of this opening finds its token gone and is dropped.
    { points: ['model.load-context'], lock: conversationOf(turnId), relaxed: true },
  );
}

function reachedLimit({ limits, steps, workMs, tokens, costMicros, refusals }: Facts): LimitReason | null {
  if (steps >= limits.steps) return 'model calls';
  if (workMs >= limits.workMs) return 'work';
  if (tokens >= limits.tokens) return 'tokens';
  if (limits.costMicros !== null && costMicros >= limits.costMicros) return 'money';
  return refusals >= 3 ? 'repeated calls' : null;
}

export interface Recorded {
  result: StepResult;
  claimed: ClaimedTurn[];
}

/**
 * Records the answer: the step, its entries, its usage, its planned calls, and without calls (or at a limit) the end of the turn.
 * Retry: a repeated recording finds its own row. Whatever becomes of the answer, its usage is booked once.
 * @throws NotNow `Overtaken` when another attempt has opened the step meanwhile: the answer is dropped.
 */
export async function recordStep(deps: StoreDeps, record: StepRecord): Promise<Recorded> {
  const { turnId, step, attempt } = record;
  const points: CrashPointName[] = ['model.record'];
  const done = await inTransaction(
    deps,
    async (client): Promise<Recorded | 'overtaken'> => {
      const facts = await lockStanding(client, turnId, step);
      if (facts.recorded && facts.recordedToken === attempt.token) {
        const closed = facts.recorded.state !== 'open';
        return {
          result: facts.recorded,
          claimed: closed ? await findClaimed(client, facts.conversationId, turnId) : [],
        };
      }
      const counts = mayGoOn(facts) && facts.openToken === attempt.token && !facts.recorded;
      const usage = toUsageRow(facts, record, counts);
      if (!counts) {
        await bookUsage(client, usage);
        const overtakenNow = isOpen(facts.state) && facts.openToken !== attempt.token;
        return overtakenNow ? 'overtaken' : { result: { state: 'stopped', calls: [] }, claimed: [] };
      }
      const written = await writeStep(client, deps, facts, record, usage);
      const open = written.result.state === 'open';
      points.push(...(open ? (['transcript.append'] as const) : closingPoints(facts, written.claimed)));
      return written;
    },
    { points, lock: conversationOf(turnId) },
  );
  if (done === 'overtaken') throw overtaken('A later attempt has opened this step; this answer is dropped');
  return done;
}

function toUsageRow(
  facts: Standing,
  { usage, turnId, step, attempt, firstTokenMs }: StepRecord,
  recorded: boolean,
): UsageRow {
  return { ...usage, token: attempt.token, turnId, rootTurnId: facts.rootTurnId, step, recorded, firstTokenMs };
}

async function writeStep(
  client: Client,
  deps: StoreDeps,
  facts: Standing,
  record: StepRecord,
  usage: UsageRow,
): Promise<Recorded> {
  const ends = record.limit ? 'limit' : record.calls.length === 0 ? 'answered' : null;
  const calls = ends ? [] : await planChildren(client, deps, facts, record.calls);
  const result: StepResult = { state: ends ?? 'open', calls: calls.map(toPlannedCall) };
  const parts = [
    ...(record.text ? [{ kind: 'text', text: record.text }] : []),
    ...calls.map(({ callId, tool, written }) => ({ kind: 'call', callId, tool, arguments: written })),
  ];
  const shown = `${record.text}${calls.map((call) => call.written).join('')}`;
  const provider =
    record.providerBlock === undefined ? null : { name: record.usage.provider, block: record.providerBlock };
  // The results of refused calls read from `said`: the parts of one statement run in no order, and a result comes after its call.
  await client.query({
    name: 'record-step',
    text: `with recorded as (
        insert into step (turn_id, step, token, result, model, finish_reason, opened_at, first_token_ms, duration_ms)
        select $1, $2, $3, $4, $5, $6, t.opened_at, $7, extract(epoch from clock_timestamp() - t.opened_at) * 1000
        from turn t where t.id = $1
      ), counted as (
        update turn set steps = steps + 1, refusals = refusals + $8, outage_since = null, outage_failures = 0, outage_next_at = null where id = $1
      ), said as (
        insert into entry (conversation_id, turn_id, step, role, parts, provider, tokens) values ($9, $1, $2, 'assistant', $10, $11, $12) returning id
      ), planned as (
        insert into effect (turn_id, call_id, step, ordinal, tool, class, state, decision, arguments, args_hash, summary, attaches,
          child_turn_id, started_at, ended_at)
        select $1, p.call_id, $2, p.ordinal, p.tool, p.class, p.state, p.decision, p.arguments, p.args_hash, p.summary, p.attaches,
          p.child_turn_id, case when p.state in ('started', 'done') then now() end, case when p.state in ('not run', 'done') then now() end
        from jsonb_to_recordset($13::jsonb) as p(call_id text, ordinal int, tool text, class text, state text, decision text,
          arguments jsonb, args_hash text, summary text, attaches boolean, child_turn_id text)
      ), booked as (${bookUsageSql('$15')}
      ) insert into entry (conversation_id, turn_id, step, call_id, role, parts, tokens)
      select $9, $1, $2, r.call_id, 'tool', jsonb_build_array(jsonb_build_object(
        'kind', 'result', 'callId', r.call_id, 'tool', r.tool, 'text', r.text, 'failed', r.failed)), r.tokens
      from said, jsonb_to_recordset($14::jsonb) as r(call_id text, tool text, text text, failed boolean, tokens int)`,
    values: [
      record.turnId,
      record.step,
      record.attempt.token,
      toJson(result),
      record.usage.model,
      record.finishReason,
      record.firstTokenMs,
      calls.filter((call) => call.repeated).length,
      facts.conversationId,
      toJson(parts),
      provider && toJson(provider),
      deps.estimateTokens(shown),
      toJson(calls.map(toEffectRow)),
      toJson(calls.flatMap((call) => toEarlyResult(deps, call))),
      JSON.stringify(usage),
    ],
  });
  if (!ends) return { result, claimed: [] };
  return { result, claimed: await closing(client, deps, facts, { outcome: ends, answer: record.text }) };
}

function toPlannedCall({ written, arguments: _, refusal, repeated, brief, ...call }: CallPlan): PlannedCall {
  return refusal === undefined ? call : { ...call, decision: call.decision === 'allow' ? 'deny' : call.decision };
}

const spawned = 'Started in the background. Its result will arrive here by itself as a message.';

function toEffectRow(call: CallPlan, index: number) {
  const waited = call.child?.wait === true;
  const state = call.refusal !== undefined ? 'not run' : call.child ? (waited ? 'started' : 'done') : 'planned';
  return {
    call_id: call.callId,
    ordinal: index + 1,
    tool: call.tool,
    class: call.effect,
    state,
    decision: call.decision,
    arguments: call.arguments ?? {},
    args_hash: call.argsHash ?? '',
    summary: call.summary,
    attaches: call.attaches ?? false,
    child_turn_id: call.child?.turnId ?? null,
  };
}

// A refused call has its result at once, and so has a spawn in the background: its result comes later as an inbox row.
function toEarlyResult({ estimateTokens }: StoreDeps, call: CallPlan) {
  const text = call.refusal ?? (call.child && !call.child.wait ? spawned : undefined);
  if (text === undefined) return [];
  return [
    { call_id: call.callId, tool: call.tool, text, failed: call.refusal !== undefined, tokens: estimateTokens(text) },
  ];
}

/**
 * A provider that cannot answer: counts the failure in the turn's row and returns what the next delay is made from. Changes
 * nothing when this attempt no longer holds the step.
 */
export async function noteOutage(
  { pool }: StoreDeps,
  turnId: string,
  attempt: Attempt,
  nextDelayMs: number,
): Promise<Outage> {
  const { rows } = await pool.query<Outage>({
    name: 'note-outage',
    text: `update turn set outage_since = coalesce(outage_since, now()), outage_failures = outage_failures + 1,
        outage_next_at = now() + make_interval(secs => $3 / 1000.0)
      where id = $1 and open_token = $2
      returning outage_failures as failures, (extract(epoch from now() - outage_since) * 1000)::float8 as "lastsMs"`,
    values: [turnId, attempt.token, nextDelayMs],
  });
  return rows[0] ?? { failures: 0, lastsMs: 0 };
}

const entryColumns = `e.id, e.turn_id as "turnId", e.step, e.role, e.parts, e.provider, e.sender, e.channel, e.at, e.tokens`;

const pageRows = 200;

/**
 * The conversation's entries from the start of its view on, oldest first, as of the last commit; the newest ones that hold about
 * `maxTokens` together, and always those of the running turn. `after`: only entries with a larger id, for a reader that keeps the
 * earlier ones (entries never change). Read backwards page by page: what it costs depends on `maxTokens`, not on the past.
 */
export async function readEntries(
  { pool }: StoreDeps,
  {
    conversationId,
    turnId,
    maxTokens,
    after = '0',
  }: { conversationId: string; turnId: string; maxTokens: number; after?: string },
): Promise<Entry[]> {
  const newestFirst: Entry[] = [];
  let before = '9223372036854775807';
  let tokens = 0;
  for (;;) {
    const { rows } = await pool.query<Entry>({
      name: 'read-entries',
      text: `select ${entryColumns} from (
          select page.*, $6::bigint + sum(page.tokens) over (order by page.id desc) as running from (
            select * from entry where conversation_id = $1 and id > $4 and id < $5 order by id desc limit ${pageRows}
          ) page
        ) e join turn t on t.id = e.turn_id join conversation c on c.id = e.conversation_id
        where t.seq >= c.view_from and (e.running <= $3 or e.turn_id = $2) order by e.id desc`,
      values: [conversationId, turnId, maxTokens, after, before, tokens],
    });
    for (const row of rows) {
      newestFirst.push({ ...row, at: new Date(row.at).toISOString() });
      tokens += row.tokens;
    }
    const oldest = rows.at(-1);
    if (!oldest || rows.length < pageRows) return newestFirst.reverse();
    before = oldest.id;
  }
}
