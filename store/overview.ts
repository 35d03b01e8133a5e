// What a person or an operator looks at: read-only, as of the last commit. Nothing is decided from these.
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
