// What a person or an operator looks at: read-only, as of the last commit. Nothing is decided from these.
import type { Entry } from './entry.js';
import type { Pool } from './pool.js';
import type { TurnState } from './rows.js';

interface Reader {
  pool: Pool;
}

export interface TurnReport {
  turnId: string;
  conversationId: string;
  /** The run that owns the turn. */
  workflowId: string;
  state: TurnState;
  /** The answer, or as much of one as was recorded; empty when there is none. */
  answer: string;
  /** What durabot itself said at the end; null when there was no need. */
  notice: string | null;
  steps: number;
  toolCalls: number;
  /** Of this turn and its subagents, answers that were dropped included. */
  inputTokens: number;
  outputTokens: number;
  /** Micro-USD; null when a price is not known. */
  costMicros: number | null;
}

const textOf = `(select string_agg(p ->> 'text', '' order by n) from jsonb_array_elements(e.parts) with ordinality as x(p, n) where p ->> 'kind' = 'text')`;

export async function readTurnReport({ pool }: Reader, turnId: string): Promise<TurnReport | null> {
  const { rows } = await pool.query<TurnReport>({
    name: 'turn-report',
    text: `select t.id as "turnId", t.conversation_id as "conversationId", t.owner as "workflowId", t.state, t.steps,
        coalesce((select ${textOf} from entry e where e.turn_id = t.id and e.role = 'assistant' and ${textOf} <> ''
          order by e.id desc limit 1), '') as answer,
        (select ${textOf} from entry e where e.turn_id = t.id and e.role = 'notice' order by e.id desc limit 1) as notice,
        (select count(*) from effect f where f.turn_id = t.id)::int as "toolCalls", u.*
      from turn t, lateral (
        select coalesce(sum(input_tokens), 0)::float8 as "inputTokens", coalesce(sum(output_tokens), 0)::float8 as "outputTokens",
          case when bool_or(cost_micros is null) then null else coalesce(sum(cost_micros), 0)::float8 end as "costMicros"
        from usage where root_turn_id = t.root_turn_id and (t.parent_turn_id is null or turn_id = t.id)) u
      where t.id = $1`,
    values: [turnId],
  });
  return rows[0] ?? null;
}

export interface ConversationLine {
  id: string;
  kind: 'chat' | 'subagent' | 'job';
  /** Of its first address; the kind when it has none. */
  channel: string;
  /** The chat there; null when it has no address. */
  chat: string | null;
  title: string | null;
  /** Chosen for this conversation by /model. */
  model: string | null;
  state: 'idle' | 'running' | 'waiting';
  activeTurnId: string | null;
  /** The newest turn's number, 0 before the first. */
  lastSeq: number;
  /** ISO 8601. */
  lastActivity: string;
}

const conversationSql = `select c.id, c.kind, c.title, c.settings ->> 'model' as model, coalesce(a.channel, c.kind) as channel,
    a.chat || case when a.thread <> '' then ':' || a.thread else '' end as chat,
    case when t.state = 'running' then 'running'
      when t.state = 'claimed' or exists (select from inbox i
        where i.conversation_id = c.id and i.turn_id is null and i.kind in ('message', 'result', 'firing')) then 'waiting'
      else 'idle' end as state,
    c.active_turn as "activeTurnId", c.next_seq - 1 as "lastSeq", c.last_activity_at as "lastActivity"
  from conversation c left join turn t on t.id = c.active_turn
    left join lateral (select * from address where conversation_id = c.id order by id limit 1) a on true`;

/** Chats and jobs, the one used last first. */
export async function listConversations({ pool }: Reader, limit = 1_000): Promise<ConversationLine[]> {
  const { rows } = await pool.query<ConversationLine>(
    `${conversationSql} where c.kind <> 'subagent' order by c.last_activity_at desc, c.id desc limit $1`,
    [limit],
  );
  return rows.map(toLine);
}

/** By the name of a terminal chat, else by id, else by `channel:chat[:thread]`. Subagents' conversations have only ids. */
export async function findConversation({ pool }: Reader, name: string): Promise<ConversationLine | null> {
  const { rows } = await pool.query<ConversationLine>(
    `${conversationSql}
      where c.id = coalesce(
        (select conversation_id from address where channel = 'terminal' and account = 'local' and chat = $1 and thread = ''),
        (select id from conversation where id::text = $1),
        (select conversation_id from address
          where channel || ':' || chat || case when thread <> '' then ':' || thread else '' end = $1 order by id limit 1))`,
    [name],
  );
  return rows[0] ? toLine(rows[0]) : null;
}

/** The name of the terminal chat that a conversation has, if it has one. */
export async function terminalChatOf({ pool }: Reader, conversationId: string): Promise<string | null> {
  const { rows } = await pool.query<{ chat: string }>(
    `select chat from address where conversation_id = $1 and channel = 'terminal' and account = 'local' and thread = '' order by id limit 1`,
    [conversationId],
  );
  return rows[0]?.chat ?? null;
}

/** The subagents that work for a conversation's turn belong to the conversation of that turn. */
export async function rootConversationOf({ pool }: Reader, conversationId: string): Promise<string | null> {
  const { rows } = await pool.query<{ id: string }>(
    `select r.conversation_id as id from turn t join turn r on r.id = t.root_turn_id where t.conversation_id = $1 limit 1`,
    [conversationId],
  );
  return rows[0]?.id ?? null;
}

export interface TurnLine {
  turnId: string;
  seq: number;
  state: TurnState;
}

/** The turns of a conversation after that number, oldest first. */
export async function turnsAfter({ pool }: Reader, conversationId: string, seq: number): Promise<TurnLine[]> {
  const { rows } = await pool.query<TurnLine>({
    name: 'turns-after',
    text: `select id as "turnId", seq, state from turn where conversation_id = $1 and seq > $2 order by seq limit 100`,
    values: [conversationId, seq],
  });
  return rows;
}

export interface CallLine {
  callId: string;
  step: number;
  tool: string;
  summary: string;
  state: 'planned' | 'started' | 'done' | 'failed' | 'unknown' | 'not run';
  childTurnId: string | null;
  startedAt: string | null;
  durationMs: number | null;
  bytes: number | null;
}

export async function callsOf({ pool }: Reader, turnId: string): Promise<CallLine[]> {
  const { rows } = await pool.query<CallLine>({
    name: 'calls-of',
    text: `select call_id as "callId", step, tool, summary, state, child_turn_id as "childTurnId", started_at as "startedAt",
        duration_ms as "durationMs", result_bytes as bytes
      from effect where turn_id = $1 order by step, ordinal`,
    values: [turnId],
  });
  return rows.map((row) => ({ ...row, startedAt: toIso(row.startedAt) }));
}

export interface TranscriptEntry extends Entry {
  callId: string | null;
}

/** The whole transcript, also what lies before the start of the view. `turnId`: of one turn. `last`: only the newest entries. */
export async function readTranscript(
  { pool }: Reader,
  { conversationId, turnId, last }: { conversationId: string; turnId?: string; last?: number },
): Promise<TranscriptEntry[]> {
  const { rows } = await pool.query<TranscriptEntry>(
    `select * from (
        select id, turn_id as "turnId", step, call_id as "callId", role, parts, provider, sender, channel, at, tokens from entry
        where conversation_id = $1 and ($2::text is null or turn_id = $2) order by id desc limit $3
      ) newest order by id`,
    [conversationId, turnId ?? null, last ?? null],
  );
  return rows.map((row) => ({ ...row, at: new Date(row.at).toISOString() }));
}

export interface OpenTurnLine {
  turnId: string;
  conversationId: string;
  kind: 'chat' | 'subagent' | 'job';
  state: TurnState;
  /** `channel:chat` of its address; null for subagents and jobs. */
  address: string | null;
  title: string | null;
  label: string | null;
  parentTurnId: string | null;
  steps: number;
  workflowId: string;
  startedAt: string;
}

/** What is under way, parents before their subagents. */
export async function openTurnLines({ pool }: Reader, limit = 200): Promise<OpenTurnLine[]> {
  const { rows } = await pool.query<OpenTurnLine>(
    `select t.id as "turnId", t.conversation_id as "conversationId", t.kind, t.state, a.channel || ':' || a.chat as address,
        c.title, t.label, t.parent_turn_id as "parentTurnId", t.steps, t.owner as "workflowId",
        coalesce(t.started_at, t.created_at) as "startedAt"
      from turn t join conversation c on c.id = t.conversation_id left join address a on a.id = t.address_id
      where t.state in ('claimed', 'running') order by t.conversation_id limit $1`,
    [limit],
  );
  return rows.map((row) => ({ ...row, startedAt: new Date(row.startedAt).toISOString() }));
}

function toLine(row: ConversationLine): ConversationLine {
  return { ...row, lastActivity: new Date(row.lastActivity).toISOString() };
}

function toIso(at: string | null): string | null {
  return at === null ? null : new Date(at).toISOString();
}
