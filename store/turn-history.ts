// One turn from its first message to its last reply, for `explain`. Read-only.
import { type CallLine, callsOf } from './overview.js';
import type { Pool } from './pool.js';
import type { TurnKind, TurnState } from './rows.js';

interface Reader {
  pool: Pool;
}

export interface StepLine {
  step: number;
  model: string | null;
  openedAt: string;
  durationMs: number;
  firstTokenMs: number | null;
  finishReason: string | null;
  text: string;
  inputTokens: number;
  outputTokens: number;
  cachedTokens: number;
  /** Micro-USD; null when the price is not known. */
  costMicros: number | null;
  /** The counts are our own estimate. */
  estimated: boolean;
  calls: CallLine[];
}

export interface DeliveryLine {
  source: string;
  part: number;
  channel: string;
  state: string;
  tries: number;
  sentAt: string | null;
  reason: string | null;
}

export interface TurnHistory {
  turnId: string;
  conversationId: string;
  workflowId: string;
  kind: TurnKind;
  state: TurnState;
  reason: string | null;
  parentTurnId: string | null;
  createdAt: string;
  startedAt: string | null;
  markedAt: string | null;
  closedAt: string | null;
  /** What is waited for: a provider that fails, since then and this often. */
  outage: { since: string; failures: number } | null;
  openStep: number | null;
  messages: { text: string; at: string; sender: string | null }[];
  steps: StepLine[];
  /** Answers that were paid and dropped: another attempt recorded the step, or the turn had ended. */
  dropped: { step: number; model: string; inputTokens: number; outputTokens: number }[];
  deliveries: DeliveryLine[];
}

const turnSql = `select id as "turnId", conversation_id as "conversationId", owner as "workflowId", kind, state, reason,
    parent_turn_id as "parentTurnId", created_at as "createdAt", started_at as "startedAt", marked_at as "markedAt",
    closed_at as "closedAt", outage_since as "outageSince", outage_failures as "outageFailures", open_step as "openStep"
  from turn where id = $1`;

const stepsSql = `select s.step, s.model, s.opened_at as "openedAt", s.duration_ms as "durationMs", s.first_token_ms as "firstTokenMs",
    s.finish_reason as "finishReason",
    coalesce((select string_agg(p ->> 'text', '') from entry e, jsonb_array_elements(e.parts) p
      where e.turn_id = s.turn_id and e.step = s.step and e.role = 'assistant' and p ->> 'kind' = 'text'), '') as text,
    coalesce(u.input_tokens, 0) as "inputTokens", coalesce(u.output_tokens, 0) as "outputTokens",
    coalesce(u.cached_tokens, 0) as "cachedTokens", u.cost_micros::float8 as "costMicros", coalesce(u.estimated, false) as estimated
  from step s left join usage u on u.token = s.token where s.turn_id = $1 order by s.step`;

type TurnFacts = Omit<TurnHistory, 'messages' | 'steps' | 'dropped' | 'deliveries' | 'outage'> & {
  outageSince: string | null;
  outageFailures: number;
};

export async function readTurnHistory({ pool }: Reader, turnId: string): Promise<TurnHistory | null> {
  const [turn, messages, steps, dropped, deliveries, calls] = await Promise.all([
    pool.query<TurnFacts>(turnSql, [turnId]),
    pool.query<TurnHistory['messages'][number]>(
      `select coalesce(body ->> 'text', '') as text, received_at as at, body ->> 'sender' as sender from inbox where turn_id = $1 order by position`,
      [turnId],
    ),
    pool.query<Omit<StepLine, 'calls'>>(stepsSql, [turnId]),
    pool.query<TurnHistory['dropped'][number]>(
      `select step, model, input_tokens as "inputTokens", output_tokens as "outputTokens" from usage
        where turn_id = $1 and not recorded order by at`,
      [turnId],
    ),
    pool.query<DeliveryLine>(
      `select o.source, o.part, a.channel, o.state, o.tries, o.sent_at as "sentAt", o.reason
        from outbox o join address a on a.id = o.destination where o.turn_id = $1 order by o.id`,
      [turnId],
    ),
    callsOf({ pool }, turnId),
  ]);
  const facts = turn.rows[0];
  if (!facts) return null;
  const { outageSince, outageFailures, ...rest } = facts;
  return {
    ...rest,
    createdAt: toIso(rest.createdAt),
    startedAt: rest.startedAt && toIso(rest.startedAt),
    markedAt: rest.markedAt && toIso(rest.markedAt),
    closedAt: rest.closedAt && toIso(rest.closedAt),
    outage: outageSince === null ? null : { since: toIso(outageSince), failures: outageFailures },
    messages: messages.rows.map((row) => ({ ...row, at: toIso(row.at) })),
    steps: steps.rows.map((row) => ({
      ...row,
      openedAt: toIso(row.openedAt),
      calls: calls.filter(({ step }) => step === row.step),
    })),
    dropped: dropped.rows,
    deliveries: deliveries.rows.map((row) => ({ ...row, sentAt: row.sentAt && toIso(row.sentAt) })),
  };
}

function toIso(at: string): string {
  return new Date(at).toISOString();
}
