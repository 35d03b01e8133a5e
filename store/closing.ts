// Every end of a turn, as a part of one transaction: results of open calls, waiting messages, answer or notice, children, hand-over.
import type { TurnOutcome } from '../workflows/contract.js';
import { claimNext } from './claims.js';
import type { CrashPointName } from './crash-points.js';
import type { StoreDeps } from './deps.js';
import { enterAtClosing } from './joining.js';
import { insertReply } from './outbox.js';
import type { Client } from './pool.js';
import { type ClaimedTurn, type TurnRow, turnColumns } from './rows.js';
import { toJson, toText } from './stored-text.js';
import { lockConversationsSql } from './transaction.js';

export interface Ending {
  outcome: TurnOutcome;
  /** The reply, already in the transcript with its step. Absent: a notice is written. */
  answer?: string;
  reason?: string;
  /** Calls of `exec` whose folder shows that no command began: for them "did not run" is the truth. */
  neverRan?: ReadonlySet<string>;
}

const previewBytes = 4_000;

/**
 * Closes an open turn. The caller holds the locks of the conversation, of its parent's and of the turn, and has judged that it may.
 * Returns the turns whose runs are to be started once the transaction has committed.
 */
export async function closing(client: Client, deps: StoreDeps, turn: TurnRow, ending: Ending): Promise<ClaimedTurn[]> {
  // A step that answers was opened with every result there and every message of the turn entered: nothing is left to settle.
  if (ending.answer === undefined) await settleOpenCalls(client, turn, ending.neverRan ?? new Set());
  const { channel, waiting, children } = await release(client, turn, ending);
  const text = toText(ending.answer ?? (await sayWhatEnded(client, deps, turn, ending)));
  const source = ending.answer === undefined ? 'notice:0' : 'answer';
  if (channel !== null) await insertReply(client, deps, turn, { source, channel, text });
  // The next turn first: a stopped child's note, written below, must not find the conversation free.
  const next = waiting ? await claimNext(client, deps, turn.conversationId) : null;
  const claimed = [...(next ? [next] : []), ...(children ? await settleChildren(client, deps, turn) : [])];
  if (turn.parentTurnId) claimed.push(...(await reportToParent(client, deps, turn, ending.outcome, text)));
  return claimed;
}

interface Released {
  /** Of the turn's address; null when it answers to nobody. */
  channel: string | null;
  /** Something waits that may open a turn. */
  waiting: boolean;
  /** A subagent of the turn has not begun. */
  children: boolean;
}

// Whoever shows this turn waits for the word; a listener that misses it finds the row.
async function release(client: Client, turn: TurnRow, { outcome, reason }: Ending): Promise<Released> {
  const { rows } = await client.query<Released>({
    name: 'close-turn',
    text: `with closed as (
        update turn set state = $2, reason = $3, closed_at = now(), open_token = null where id = $1 returning conversation_id, address_id
      ), released as (
        update conversation c set active_turn = null, last_activity_at = now() from closed where c.id = closed.conversation_id
      ) select a.channel, pg_notify('durabot_turn', $1),
        exists (select from inbox i where i.conversation_id = c.conversation_id and i.turn_id is null
          and i.kind in ('message', 'result', 'firing')) as waiting,
        exists (select from turn k where k.parent_turn_id = $1 and k.state = 'claimed') as children
      from closed c left join address a on a.id = c.address_id`,
    values: [turn.id, outcome, reason ?? null],
  });
  if (!rows[0]) throw new Error('the turn was deleted while it was closed');
  return rows[0];
}

async function sayWhatEnded(client: Client, deps: StoreDeps, turn: TurnRow, ending: Ending): Promise<string> {
  const upTo = ending.outcome === 'stopped' ? turn.markPosition : null;
  return writeNotice(client, deps, turn, ending, await enterAtClosing(client, turn, upTo));
}

/** What a transaction crosses that closed this turn. */
export function closingPoints({ addressId, parentTurnId }: TurnRow, claimed: readonly ClaimedTurn[]): CrashPointName[] {
  return [
    'transcript.append',
    ...(addressId ? (['outbox.insert'] as const) : []),
    ...(parentTurnId ? (['subagent.result'] as const) : []),
    ...(claimed.length > 0 ? (['turn.hand-over'] as const) : []),
  ];
}

const unfinished: Record<string, string> = {
  'not run': 'Error: this call did not run.',
  unknown: 'Error: this call was interrupted; it may or may not have taken effect. Check before repeating it.',
};

async function settleOpenCalls(client: Client, turn: TurnRow, neverRan: ReadonlySet<string>): Promise<void> {
  if (turn.state === 'claimed') return; // nothing has been planned yet
  await client.query({
    name: 'settle-open-calls',
    text: `with settled as (
        update effect set ended_at = now(),
          state = case when state = 'planned' or class = 'read' or call_id = any($3)
            or exists (select from turn k where k.id = child_turn_id and k.state = 'claimed') then 'not run' else 'unknown' end
        where turn_id = $1 and state in ('planned', 'started')
        returning call_id, step, ordinal, tool, state
      ) insert into entry (conversation_id, turn_id, step, call_id, role, parts, tokens)
      select $2, $1, step, call_id, 'tool', jsonb_build_array(jsonb_build_object(
        'kind', 'result', 'callId', call_id, 'tool', tool, 'text', $4::jsonb ->> state, 'failed', true)), 20
      from settled order by step, ordinal
      on conflict do nothing`,
    values: [turn.id, turn.conversationId, [...neverRan], toJson(unfinished)],
  });
}

async function writeNotice(
  client: Client,
  deps: StoreDeps,
  turn: TurnRow,
  ending: Ending,
  waiting: string[],
): Promise<string> {
  const outcome = ending.outcome === 'answered' ? 'failed' : ending.outcome;
  const text = deps.notice({ outcome, reason: ending.reason ?? null, waiting });
  await client.query({
    name: 'write-notice',
    text: `insert into entry (conversation_id, turn_id, role, parts, tokens) values ($1, $2, 'notice', $3, $4)`,
    values: [turn.conversationId, turn.id, toJson([{ kind: 'text', text }]), deps.estimateTokens(text)],
  });
  return text;
}

// Children that have not begun: one that is waited for, or whose parent was stopped, never will; a background one starts now.
async function settleChildren(client: Client, deps: StoreDeps, turn: TurnRow): Promise<ClaimedTurn[]> {
  const { rows } = await client.query<TurnRow>({
    name: 'claimed-children',
    text: `select ${turnColumns} from turn t where t.parent_turn_id = $1 and t.state = 'claimed' order by t.conversation_id`,
    values: [turn.id],
  });
  const claimed: ClaimedTurn[] = [];
  for (const seen of rows) {
    await client.query(lockConversationsSql(seen.conversationId));
    const child = await lockTurn(client, seen.id);
    if (child?.state !== 'claimed') continue; // it began meanwhile and finds out at its first step
    if (child.waited || turn.markPosition !== null) {
      // The parent's call has its result already. A mark of the parent's is the child's, so that it reports by a note.
      const { parentTurnId, markPosition } = child;
      const ending = { ...child, parentTurnId: child.waited ? null : parentTurnId, markPosition: markPosition ?? '0' };
      claimed.push(...(await closing(client, deps, ending, { outcome: 'stopped' })));
    } else
      claimed.push({
        turnId: child.id,
        owner: child.owner,
        kind: 'subagent',
        conversationId: child.conversationId,
        channel: 'subagent',
        delayMs: 0,
      });
  }
  return claimed;
}

/**
 * The result of a child: of one that is waited for it is the result of the parent's call, else an inbox row of the parent's
 * conversation. A stopped child writes a note, so that after a stop no turn opens by itself.
 */
async function reportToParent(
  client: Client,
  deps: StoreDeps,
  child: TurnRow,
  outcome: TurnOutcome,
  text: string,
): Promise<ClaimedTurn[]> {
  if (!child.parentTurnId || !child.parentCallId) return [];
  const parent = await findTurn(client, child.parentTurnId);
  if (!parent) return [];
  const handle = `result:${parent.id}/${child.parentCallId}`;
  const told = toReport(outcome, text, handle);
  const facts = [parent.id, child.parentCallId, text, Buffer.byteLength(text)];
  await client.query({
    name: 'keep-child-result',
    text: `insert into blob (turn_id, call_id, content, bytes) values ($1, $2, $3, $4) on conflict do nothing`,
    values: facts,
  });
  if (child.waited) {
    await client.query({
      name: 'child-result-of-call',
      text: `with ended as (
          update effect set state = $5, ended_at = now(), result_bytes = $6, tainted = $7,
            duration_ms = extract(epoch from now() - started_at) * 1000
          where turn_id = $1 and call_id = $2 and state = 'started' returning step, call_id, tool
        ), tainting as (update turn set tainted = true where id = $1 and $7 and exists (select from ended)
        ) insert into entry (conversation_id, turn_id, step, call_id, role, parts, tokens)
        select $3, $1, step, call_id, 'tool', jsonb_build_array(jsonb_build_object(
          'kind', 'result', 'callId', call_id, 'tool', tool, 'text', $4::text, 'failed', $5::text <> 'done', 'handle', $8::text)), $9
        from ended on conflict do nothing`,
      values: [
        parent.id,
        child.parentCallId,
        parent.conversationId,
        told,
        outcome === 'answered' || outcome === 'limit' ? 'done' : 'failed',
        facts[3],
        child.tainted,
        handle,
        deps.estimateTokens(told),
      ],
    });
    return [];
  }
  const { rows } = await client.query<{ free: boolean }>({
    name: 'child-result-as-row',
    text: `with placed as (
        update conversation set next_position = next_position + 1, last_activity_at = now() where id = $1
        returning next_position - 1 as position, active_turn
      ) insert into inbox (channel, account, external_id, kind, person_id, address_id, conversation_id, position, body)
      select 'subagent', 'local', $2, $3, $4, $5, $1, placed.position, $6 from placed
      on conflict on constraint a_message_is_kept_once do nothing
      returning (select active_turn is null from placed) as free`,
    values: [
      parent.conversationId,
      child.id,
      child.markPosition !== null ? 'note' : 'result',
      parent.personId,
      parent.addressId,
      toJson({ text: told, sender: child.label, tokens: deps.estimateTokens(told), tainted: child.tainted }),
    ],
  });
  const next = rows[0]?.free ? await claimNext(client, deps, parent.conversationId) : null;
  return next ? [next] : [];
}

function toReport(outcome: TurnOutcome, text: string, handle: string): string {
  const whole = Buffer.from(text);
  const shown =
    whole.byteLength <= previewBytes
      ? text
      : `${whole.subarray(0, previewBytes).toString('utf8')}\n… (the whole result: ${handle})`;
  switch (outcome) {
    case 'answered':
      return shown;
    case 'limit':
      return `The subagent reached its limit. What it found:\n${shown}`;
    case 'stopped':
      return `Error: the subagent was stopped. ${shown}`;
    case 'failed':
      return `Error: the subagent failed. ${shown}`;
  }
}

export async function lockTurn(client: Client, turnId: string): Promise<TurnRow | null> {
  const { rows } = await client.query<TurnRow>({
    name: 'lock-turn',
    text: `select ${turnColumns} from turn t where t.id = $1 for no key update`,
    values: [turnId],
  });
  return rows[0] ?? null;
}

async function findTurn(client: Client, turnId: string): Promise<TurnRow | null> {
  const { rows } = await client.query<TurnRow>({
    name: 'find-turn',
    text: `select ${turnColumns} from turn t where t.id = $1`,
    values: [turnId],
  });
  return rows[0] ?? null;
}
