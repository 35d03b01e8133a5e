// An operator's stop of a whole conversation, from outside of its chat.
import type { StoreDeps } from './deps.js';
import type { ClaimedTurn, StopTarget } from './rows.js';
import { markConversation } from './stop.js';
import { inTransaction } from './transaction.js';

export interface Killed {
  targets: StopTarget[];
  /** Runs to be started now that the transaction has committed. */
  claimed: ClaimedTurn[];
  cancelledReplies: number;
}

/**
 * Marks everything open in a conversation: its turn and all its subagents. What waits belongs to the stopped turn. `cancelReplies`:
 * replies that are not yet being sent never are; the notice that the turn was stopped still goes out. Repeatable.
 */
export function stopConversation(
  deps: StoreDeps,
  conversationId: string,
  { cancelReplies }: { cancelReplies: boolean },
): Promise<Killed> {
  return inTransaction(deps, async (client) => {
    const { rows } = await client.query<{ position: string }>(
      'select next_position - 1 as position from conversation where id = $1 for no key update',
      [conversationId],
    );
    if (!rows[0]) return { targets: [], claimed: [], cancelledReplies: 0 };
    const cancelled = cancelReplies
      ? await client.query(
          `update outbox set state = 'cancelled', reason = 'the conversation was stopped from outside'
            where state = 'pending' and (turn_id in (select id from turn where conversation_id = $1)
              or (turn_id is null and destination in (select id from address where conversation_id = $1)))`,
          [conversationId],
        )
      : { rowCount: 0 };
    const { targets, claimed } = await markConversation(client, deps, conversationId, rows[0].position);
    return { targets, claimed, cancelledReplies: cancelled.rowCount ?? 0 };
  });
}

/** Removes a conversation with all its turns, and its subagents' conversations. False, and nothing is removed, while a turn is open in it. */
export function deleteConversation(deps: StoreDeps, conversationId: string): Promise<boolean> {
  return inTransaction(deps, async (client) => {
    await client.query('select from conversation where id = $1 for update', [conversationId]);
    const family = `with recursive family as (
        select id from conversation where id = $1
        union select c.id from conversation c join family f on c.parent_conversation_id = f.id
      )`;
    const { rows } = await client.query<{ open: boolean }>(
      `${family} select exists (select from turn t join family f on f.id = t.conversation_id
        where t.state in ('claimed', 'running')) as open`,
      [conversationId],
    );
    if (rows[0]?.open) return false;
    await client.query(`${family} delete from conversation where id in (select id from family)`, [conversationId]);
    return true;
  });
}
