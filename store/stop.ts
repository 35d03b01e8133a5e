// Stop marks. They are set under the conversation's lock, and every transaction of a turn looks at them: nothing of a marked turn
// begins any more, wherever its run is.
import { findClaimed } from './claims.js';
import { closing, lockTurn } from './closing.js';
import type { StoreDeps } from './deps.js';
import type { Client } from './pool.js';
import { type ClaimedTurn, isOpen, type StopTarget } from './rows.js';

export interface Marked {
  targets: StopTarget[];
  claimed: ClaimedTurn[];
}

interface OpenTurn {
  id: string;
  conversationId: string;
}

// The active turn, and the subagents of all turns of this conversation, those in the background included.
const openSql = `select t.id, t.conversation_id as "conversationId" from turn t join turn r on r.id = t.root_turn_id
  where r.conversation_id = $1 and t.state in ('claimed', 'running') order by t.conversation_id`;

/**
 * Marks everything open in a conversation, whose lock the caller holds. `position`: what waited before it belongs to the stopped
 * turn. Turns still claimed are closed here; the others by their runs, which the caller cancels after the commit.
 */
export async function markConversation(
  client: Client,
  deps: StoreDeps,
  conversationId: string,
  position: string,
): Promise<Marked> {
  const open = await lockOpenTurns(client, conversationId);
  const targets: StopTarget[] = [];
  for (const { id, conversationId: own } of open) {
    const { rows } = await client.query<StopTarget>({
      name: 'mark-turn',
      text: `update turn set mark_position = coalesce(mark_position, $2), marked_at = coalesce(marked_at, now())
        where id = $1 and state in ('claimed', 'running') returning id as "turnId", owner`,
      values: [id, own === conversationId ? position : '9223372036854775807'],
    });
    targets.push(...rows);
  }
  const claimed: ClaimedTurn[] = [];
  for (const { turnId } of [...targets].reverse()) {
    const turn = await lockTurn(client, turnId);
    if (turn?.state === 'claimed') claimed.push(...(await closing(client, deps, turn, { outcome: 'stopped' })));
    // Work in progress of any process is aborted at once; a listener that misses this finds the mark.
    else if (turn && isOpen(turn.state)) await client.query(`select pg_notify('durabot_mark', $1)`, [turnId]);
  }
  if (claimed.length === 0) return { targets, claimed };
  // A turn that one closing claimed may have been stopped by a later one of this transaction.
  return { targets, claimed: await findClaimed(client, conversationId) };
}

// A child may be planned while we wait for its parent's conversation, so the list is read again until nothing new is in it.
async function lockOpenTurns(client: Client, conversationId: string): Promise<OpenTurn[]> {
  const locked = new Set([conversationId]);
  for (;;) {
    const { rows } = await client.query<OpenTurn>({ name: 'open-turns-of', text: openSql, values: [conversationId] });
    const fresh = rows.map((row) => row.conversationId).filter((id) => !locked.has(id));
    if (fresh.length === 0) return rows;
    await client.query(`select id from conversation where id = any($1::bigint[]) order by id for no key update`, [
      fresh,
    ]);
    for (const id of fresh) locked.add(id);
  }
}
