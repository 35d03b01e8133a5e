// How inbox rows become part of a transcript: only when a step opens or a turn closes, never between a call and its result.
import type { Client } from './pool.js';
import type { TurnRow } from './rows.js';

const enterColumns = `insert into entry (conversation_id, turn_id, role, parts, sender, channel, tokens, at)
  select $1, $2, case when kind in ('message', 'firing', 'edit') then 'person' else 'note' end,
    jsonb_build_array(jsonb_build_object('kind', 'text', 'text', body ->> 'text')),
    body ->> 'sender', channel, (body ->> 'tokens')::int, received_at
  from joined order by position`;

/** What may steer a running turn: messages and results of its person and address, and notes. */
export const joinable = `i.turn_id is null and (i.kind = 'note' or (
    i.kind in ('message', 'result') and i.person_id = t.person_id and i.address_id is not distinct from t.address_id))`;

// In both statements the rows of the turn and those that wait are found apart, each by its index: joined by an `or`, PostgreSQL may
// choose to read all that the conversation ever received.

/**
 * The end of a statement that opens a step: what waits and may join does, then all rows of the turn enter in the order of their
 * positions. `$1` is the conversation, `$2` the turn.
 */
export const joiningSql = `waiting as (
      select id from inbox where turn_id = $2 and not entered
      union all select i.id from inbox i join turn t on t.id = $2 where i.conversation_id = $1 and ${joinable}
    ), joined as (
      update inbox i set turn_id = $2, entered = true from waiting w where i.id = w.id
      returning i.kind, i.body, i.position, i.received_at, i.channel
    ) ${enterColumns}`;

/**
 * A turn closes: its rows that have not entered do so now, after the results of its calls. With `upTo`, the position of a stop,
 * everything that waited before it belongs to the stopped turn. Returns the texts of what the stop took.
 */
export async function enterAtClosing(client: Client, turn: TurnRow, upTo: string | null): Promise<string[]> {
  const { rows } = await client.query<{ text: string; late: boolean }>({
    name: 'enter-at-closing',
    text: `with waiting as (
        select id, false as late from inbox where turn_id = $2 and not entered
        union all select id, true from inbox
        where conversation_id = $1 and turn_id is null and kind in ('message', 'result', 'firing') and position <= $3::bigint
      ), joined as (
        update inbox i set turn_id = $2, entered = true from waiting w where i.id = w.id
        returning i.id, i.kind, i.body, i.position, i.received_at, i.channel, w.late
      ), entered as (${enterColumns})
      select body ->> 'text' as text, late from joined where kind = 'message' order by position`,
    values: [turn.conversationId, turn.id, upTo],
  });
  return rows.filter((row) => row.late).map((row) => row.text);
}
