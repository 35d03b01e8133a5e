// What the store and the engine hold of a round, read from outside once all is quiet.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import pg from 'pg';
import { lookAtExec } from '../../activities/tools/exec/folder.js';
import type { EntryPart } from '../../store/entry.js';
import type { Stage } from './processes.js';

export interface TurnSeen {
  id: string;
  owner: string;
  state: string;
  reason: string | null;
  rootTurnId: string;
  parentTurnId: string | null;
  parentCallId: string | null;
  conversationId: string;
  waited: boolean;
  chat: string;
  markedAt: number | null;
  closedAt: number | null;
}

export interface InboxSeen {
  externalId: string;
  kind: string;
  turnId: string | null;
  conversationId: string;
  position: number;
  text: string;
}

export interface EntrySeen {
  id: number;
  conversationId: string;
  turnId: string;
  callId: string | null;
  role: string;
  parts: EntryPart[];
}

export interface EffectSeen {
  turnId: string;
  callId: string;
  tool: string;
  state: string;
  arguments: Record<string, unknown>;
}

export interface OutboxSeen {
  id: number;
  key: string;
  destination: string;
  turnId: string | null;
  source: string;
  part: number;
  state: string;
  tries: number;
  wasUnknown: boolean;
  flagged: boolean;
  text: string;
}

export interface StepSeen {
  turnId: string;
  step: number;
  recordedAt: number;
}

export interface StoreSeen {
  turns: TurnSeen[];
  inbox: InboxSeen[];
  entries: EntrySeen[];
  effects: EffectSeen[];
  outbox: OutboxSeen[];
  steps: StepSeen[];
}

/** One line of exec.log: `7.2 began 1764030000000`. */
export interface ExecSeen {
  name: string;
  word: string;
  wall: number;
}

async function query<Row extends object>(databaseUrl: string, text: string, values: unknown[] = []): Promise<Row[]> {
  const client = new pg.Client({ connectionString: databaseUrl, connectionTimeoutMillis: 2_000 });
  client.on('error', () => {}); // the server may be the victim
  await client.connect();
  try {
    return (await client.query<Row>(text, values)).rows;
  } finally {
    await client.end().catch(() => {});
  }
}

/** Turns of the chats that begin with a prefix, and of their subagents. */
const turnsOf = `
  select t.*, a.chat from turn t join turn r on r.id = t.root_turn_id
    join lateral (select chat from address where conversation_id = r.conversation_id limit 1) a on true
  where a.chat like $1 || '.%'`;
const ms = (column: string) => `(extract(epoch from ${column}) * 1000)::float8`;

export async function readStore({ stack }: Stage, prefix: string): Promise<StoreSeen> {
  const read = <Row extends object>(text: string) => query<Row>(stack.databaseUrl, text, [prefix]);
  const conversations = `(select conversation_id from (${turnsOf}) t union
    select conversation_id from address where chat like $1 || '.%')`;
  return {
    turns:
      await read<TurnSeen>(`select id, owner, state, reason, root_turn_id as "rootTurnId", parent_turn_id as "parentTurnId",
      parent_call_id as "parentCallId", conversation_id::text as "conversationId", waited, chat, ${ms('marked_at')} as "markedAt",
      ${ms('closed_at')} as "closedAt" from (${turnsOf}) t order by conversation_id, seq`),
    inbox:
      await read<InboxSeen>(`select external_id as "externalId", kind, turn_id as "turnId", conversation_id::text as "conversationId",
      position::int, body ->> 'text' as text from inbox where conversation_id in ${conversations} order by conversation_id, position`),
    entries: await read<EntrySeen>(`select id::int, conversation_id::text as "conversationId", turn_id as "turnId",
      call_id as "callId", role, parts from entry where conversation_id in ${conversations} order by id`),
    effects: await read<EffectSeen>(`select turn_id as "turnId", call_id as "callId", tool, state, arguments from effect
      where turn_id in (select id from (${turnsOf}) t)`),
    outbox:
      await read<OutboxSeen>(`select o.id::int, delivery_key as key, destination::text, turn_id as "turnId", source, part, state,
      tries, was_unknown as "wasUnknown", flagged, body ->> 'text' as text
      from outbox o join address a on a.id = o.destination where a.chat like $1 || '.%' order by o.id`),
    steps: await read<StepSeen>(`select turn_id as "turnId", step, ${ms('recorded_at')} as "recordedAt" from step
      where turn_id in (select id from (${turnsOf}) t)`),
  };
}

/** Of these messages, those that have no row. */
export async function countMissing({ stack }: Stage, externalIds: readonly string[]): Promise<number> {
  const kept = await query(stack.databaseUrl, 'select from inbox where external_id = any($1)', [externalIds]);
  return externalIds.length - kept.length;
}

/** What is left to do, in words; empty when nothing is. Everything counts, whichever round it is from. */
export async function leftToDo({ stack, home }: Stage, client: Client): Promise<string[]> {
  const [counts] = await query<Record<string, number>>(
    stack.databaseUrl,
    `select (select count(*) from turn where state in ('claimed', 'running'))::int as "open turns",
      (select count(*) from inbox where turn_id is null and kind in ('message', 'result', 'firing'))::int as "unread messages",
      (select count(*) from effect where state in ('planned', 'started'))::int as "open calls",
      (select count(*) from outbox where state in ('pending', 'sending'))::int as "unsent replies",
      (select count(*) from pg_stat_activity where state like 'idle in transaction%' and now() - state_change > '2 s')::int
        as "sessions that hold locks"`,
  );
  const { count } = await client.workflowService.countWorkflowExecutions({
    namespace: 'default',
    query: `ExecutionStatus = 'Running'`,
  });
  const all = { ...counts, 'open runs': Number(count), 'running commands': (await runningCommands(home)).length };
  return Object.entries(all).flatMap(([what, number]) => (number > 0 ? [`${number} ${what}`] : []));
}

/** Supervisors whose command runs now. */
export async function runningCommands(home: string): Promise<{ key: string; pid: number }[]> {
  const data = join(home, 'data');
  const folders = await readdir(join(data, 'exec')).catch(() => []);
  const found: { key: string; pid: number }[] = [];
  for (const folder of folders) {
    const [, turn, call] = /^(\d+-\d+)\.(s\d+\.c\d+)$/.exec(folder) ?? [];
    if (!turn) continue;
    const state = await lookAtExec(data, `${turn}/${call}`);
    if (state.kind === 'running') found.push({ key: `${turn}/${call}`, pid: state.supervisor.pid });
  }
  return found;
}

export async function readExecLog(workspace: string): Promise<ExecSeen[]> {
  const text = await readFile(join(workspace, 'exec.log'), 'utf8').catch(() => '');
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const [name = '', word = '', wall = ''] = line.split(' ');
      return { name, word, wall: Number(wall) };
    });
}

/** Half-written files in the workspace; names that a `write_file` has left there. */
export async function readWorkspace(workspace: string): Promise<{ temporary: string[]; written: Map<string, string> }> {
  const names = await readdir(workspace, { recursive: true }).catch(() => []);
  const written = new Map<string, string>();
  for (const name of names) {
    const [, call] = /^effects\/([\d.]+)\.txt$/.exec(name) ?? [];
    if (call) written.set(call, await readFile(join(workspace, name), 'utf8'));
  }
  return { temporary: names.filter((name) => /(^|\/)\.durabot-.*\.tmp$/.test(name)), written };
}

/** An activity that the engine has tried more than once, with the reason that its last try but one gave. */
export interface AttemptsSeen {
  turnId: string;
  activity: string;
  step: number | null;
  callId: string | null;
  attempts: number;
  lastFailure: string;
}

/** From the histories of the runs that own these turns. Only the newest failure of an activity is kept by the engine. */
export async function readAttempts(client: Client, turns: readonly TurnSeen[]): Promise<AttemptsSeen[]> {
  const found: AttemptsSeen[] = [];
  for (const { id, owner } of turns) {
    const history = await client.workflow
      .getHandle(owner)
      .fetchHistory()
      .catch(() => undefined); // a lost engine knows no run
    const events = history?.events ?? [];
    for (const { activityTaskStartedEventAttributes: started } of events) {
      if (!started || (started.attempt ?? 1) < 2) continue;
      const scheduled = events.find(
        ({ eventId }) => String(eventId) === String(started.scheduledEventId),
      )?.activityTaskScheduledEventAttributes;
      const payload = scheduled?.input?.payloads?.[0];
      const input = payload ? defaultPayloadConverter.fromPayload<{ step?: number; callId?: string }>(payload) : {};
      const cause = started.lastFailure;
      found.push({
        turnId: id,
        activity: scheduled?.activityType?.name ?? '',
        step: input.step ?? null,
        callId: input.callId ?? null,
        attempts: started.attempt ?? 1,
        lastFailure: cause?.timeoutFailureInfo
          ? 'timeout'
          : (cause?.applicationFailureInfo?.type ?? cause?.message ?? ''),
      });
    }
  }
  return found;
}
