// Which messages make the next turn of a conversation. Runs inside a transaction that holds the conversation's lock.
import type { StoreDeps } from './deps.js';
import type { Client } from './pool.js';
import { type ClaimedTurn, toOwner, toTurnId } from './rows.js';

interface ClaimRow {
  seq: number;
  kind: ClaimedTurn['kind'];
  channel: string;
  delayMs: number;
}

// The oldest waiting row, and with it the others of its person and address; a firing shares its turn with nothing, a note opens none.
const claimSql = `
  with first as (
    select i.* from inbox i
    where i.conversation_id = $1 and i.turn_id is null and i.kind in ('message', 'result', 'firing')
    order by i.position limit 1
  ), numbered as (
    update conversation c set next_seq = c.next_seq + 1, active_turn = c.id || '-' || c.next_seq, last_activity_at = now()
    from first where c.id = $1
    returning c.next_seq - 1 as seq, c.kind, c.settings
  ), made as (
    insert into turn (id, conversation_id, seq, kind, owner, person_id, address_id, settings, limits, root_turn_id, not_before)
    select $1 || '-' || n.seq, $1, n.seq, case when first.kind = 'firing' then 'job' else 'chat' end,
      coalesce($3, 'turn/' || $1 || '/' || n.seq), first.person_id, first.address_id,
      n.settings || first.settings, $2, $1 || '-' || n.seq,
      now() + make_interval(secs => (first.body ->> 'delayMs')::int / 1000.0)
    from first, numbered n
    returning id, seq, kind, not_before
  ), attached as (
    update inbox i set turn_id = made.id from first, made
    where i.conversation_id = $1 and i.turn_id is null and i.kind in ('message', 'result', 'firing') and (i.id = first.id or (
      first.kind <> 'firing' and i.kind <> 'firing'
      and i.person_id = first.person_id and i.address_id is not distinct from first.address_id))
  )
  select made.seq, made.kind, coalesce(a.channel, made.kind) as channel,
    coalesce(greatest(0, extract(epoch from made.not_before - now()) * 1000), 0)::int as "delayMs"
  from made cross join first left join address a on a.id = first.address_id`;

/**
 * Claims a turn for the oldest waiting message, or releases the conversation when nothing waits. `owner`: the run that claims it
 * for itself (a scheduled run); else the turn's own id.
 */
export async function claimNext(
  client: Client,
  { limits }: StoreDeps,
  conversationId: string,
  owner?: string,
): Promise<ClaimedTurn | null> {
  const { rows } = await client.query<ClaimRow>({
    name: 'claim-next',
    text: claimSql,
    values: [conversationId, limits.chat, owner ?? null],
  });
  const made = rows[0];
  if (!made) return null;
  const turnId = toTurnId(conversationId, made.seq);
  return {
    turnId,
    owner: owner ?? toOwner(turnId),
    kind: made.kind,
    conversationId,
    channel: made.channel,
    delayMs: made.delayMs,
  };
}

/**
 * Turns that wait for their run and are started again by whoever finds a commit done: the conversation's, its parent's, which the
 * result of a subagent may have opened, and the background subagents of a turn that has closed.
 */
export async function findClaimed(
  client: Client,
  conversationId: string,
  closedTurnId: string | null = null,
): Promise<ClaimedTurn[]> {
  const { rows } = await client.query<ClaimedTurn>({
    name: 'find-claimed',
    text: `select t.id as "turnId", t.owner, t.kind, t.conversation_id as "conversationId", coalesce(a.channel, t.kind) as channel,
        coalesce(greatest(0, extract(epoch from t.not_before - now()) * 1000), 0)::int as "delayMs"
      from turn t left join address a on a.id = t.address_id
      where t.id in (
        select id from turn where state = 'claimed'
          and conversation_id in ($1, (select parent_conversation_id from conversation where id = $1))
        union all select id from turn where state = 'claimed' and parent_turn_id = $2 and not waited)
      order by t.conversation_id`,
    values: [conversationId, closedTurnId],
  });
  return rows;
}
