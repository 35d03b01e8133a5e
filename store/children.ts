// Subagents are planned with the step that asks for them: the child's row fixes its workflow id, from the parent's turn and not from
// the run that owns it, so that a restarted parent finds the same child.
import type { StoreDeps } from './deps.js';
import type { Client } from './pool.js';
import { type TurnLimits, type TurnRow, type TurnSettings, toOwner, toTurnId } from './rows.js';
import { toJson, toText } from './stored-text.js';
import type { CallPlan } from './transcript.js';

export interface Brief {
  task: string;
  label: string | null;
  settings: TurnSettings;
  limits: Partial<TurnLimits>;
  wait: boolean;
}

/** Writes the rows of the children that these calls ask for. A child of a child is always waited for: nobody reads a finished one's chat. */
export async function planChildren(
  client: Client,
  deps: StoreDeps,
  parent: TurnRow,
  calls: CallPlan[],
): Promise<CallPlan[]> {
  const planned: CallPlan[] = [];
  for (const call of calls) {
    if (!call.brief || call.refusal !== undefined) planned.push(call);
    else planned.push({ ...call, child: await insertChild(client, deps, parent, call.callId, call.brief) });
  }
  return planned;
}

async function insertChild(client: Client, deps: StoreDeps, parent: TurnRow, callId: string, brief: Brief) {
  const wait = brief.wait || parent.addressId === null;
  const workflowId = `${toOwner(parent.id)}/sub/${callId}`;
  const limits = {
    ...deps.limits.subagent,
    tokens: parent.limits.tokens,
    costMicros: parent.limits.costMicros,
    ...brief.limits,
  };
  const { rows } = await client.query<{ id: string }>({
    name: 'insert-child',
    text: `with made as (
        insert into conversation (kind, parent_conversation_id, title, next_seq, next_position) values ('subagent', $1, $2, 2, 2) returning id
      ), turned as (
        insert into turn (id, conversation_id, seq, kind, owner, person_id, settings, limits, root_turn_id, parent_turn_id, parent_call_id,
          waited, depth, label, tainted)
        select made.id || '-1', made.id, 1, 'subagent', $3, $4, $5, $6, $7, $8, $9, $10, $11, $2, $12 from made
      ), briefed as (
        insert into inbox (channel, account, external_id, kind, person_id, conversation_id, position, body, turn_id)
        select 'subagent', 'local', $8 || '/' || $9 || '/brief', 'message', $4, made.id, 1, $13, made.id || '-1' from made
      ) select id from made`,
    values: [
      parent.conversationId,
      brief.label === null ? null : toText(brief.label),
      workflowId,
      parent.personId,
      toJson(brief.settings),
      toJson(limits),
      parent.rootTurnId,
      parent.id,
      callId,
      wait,
      parent.depth + 1,
      parent.tainted,
      toJson({ text: brief.task, sender: null, tokens: deps.estimateTokens(brief.task) }),
    ],
  });
  const conversationId = rows[0]?.id ?? '';
  const turnId = toTurnId(conversationId, 1);
  await client.query('update conversation set active_turn = $2 where id = $1', [conversationId, turnId]);
  return { turnId, workflowId, wait };
}
