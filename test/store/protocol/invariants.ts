// What must hold of the rows when everything has come to rest, against what the world outside knows. A count of 0 is right.
import type { Parts } from './actors.js';
import type { Sent } from './scenario.js';

interface EntryRow {
  conversation: string;
  turn: string;
  seq: number;
  role: string;
  callId: string | null;
  calls: string[];
  text: string;
}

export async function checkInvariants(parts: Parts, sent: Sent[], firstId: string): Promise<void> {
  const { world, out, pool } = parts;
  const rows = async (sql: string) => (await pool.query(sql, sql.includes('$1') ? [firstId] : [])).rows;
  /** Each row of the query is a violation. */
  async function none(rule: string, sql: string): Promise<void> {
    for (const row of await rows(sql)) world.fail(rule, JSON.stringify(row));
  }

  // Nothing is left.
  await none('open turn', `select id, state, owner from turn where state in ('claimed', 'running')`);
  await none('active', `select id, active_turn from conversation where id >= $1 and active_turn is not null`);
  await none(
    'unread',
    `select external_id, kind from inbox where conversation_id >= $1 and turn_id is null and kind not in ('note', 'command')`,
  );
  await none('call left', `select turn_id, call_id, state from effect where state in ('planned', 'started')`);
  await none('row left', `select delivery_key, state from outbox where state in ('pending', 'sending')`);
  await none(
    'not entered',
    `select external_id from inbox where conversation_id >= $1 and turn_id is not null and not entered`,
  );

  // Messages: kept, once, in one turn that ended visibly.
  const inbox = new Map<string, { n: number; turn: string | null; visible: boolean }>(
    (
      await rows(
        `select i.body ->> 'text' as id, count(*)::int as n, min(i.turn_id) as turn,
          bool_or(exists (select from outbox o where o.turn_id = i.turn_id and (o.source = 'answer' or o.source = 'notice:0'))) as visible
          from inbox i where conversation_id >= $1 and kind in ('message', 'command') group by 1`,
      )
    ).map((row) => [row.id, row]),
  );
  for (const { incoming, acknowledged } of sent) {
    const row = inbox.get(incoming.text);
    if (!acknowledged) world.fail('kept', `${incoming.text} was never acknowledged`);
    else if (row?.n !== 1) world.fail('kept', `${incoming.text} has ${row?.n ?? 0} rows`);
    else if (!incoming.command && !(row.turn && row.visible)) world.fail('kept', `${incoming.text} has no end`);
  }
  await none(
    'other person',
    `select i.external_id, t.id from inbox i join turn t on t.id = i.turn_id where i.conversation_id >= $1
      and i.kind in ('message', 'result') and t.mark_position is null
      and (i.person_id <> t.person_id or i.address_id is distinct from t.address_id)`,
  );
  await none(
    'order',
    `select * from (select i.external_id, t.seq, max(t.seq) over (partition by i.conversation_id, i.person_id, i.address_id
        order by i.position) as highest from inbox i join turn t on t.id = i.turn_id
      where i.conversation_id >= $1 and i.kind = 'message') x where seq < highest`,
  );
  await none(
    'failed',
    `select id, owner from turn where conversation_id >= $1 and state = 'failed' and not owner = any(array[${[
      ...parts.terminated,
    ]
      .map((id) => `'${id}'`)
      .join(',')}]::text[])`,
  );

  // Transcripts.
  const entries: EntryRow[] = await rows(
    `select e.conversation_id as conversation, e.turn_id as turn, t.seq, e.role, e.call_id as "callId",
      coalesce((select array_agg(p ->> 'callId') from jsonb_array_elements(e.parts) p where p ->> 'kind' = 'call'), '{}') as calls,
      coalesce((select string_agg(p ->> 'text', '') from jsonb_array_elements(e.parts) p), '') as text
      from entry e join turn t on t.id = e.turn_id where e.conversation_id >= $1 order by e.conversation_id, e.id`,
  );
  checkTranscripts(parts, entries);
  await none(
    'message in the transcript',
    `select i.external_id, count(e.id) from inbox i left join entry e on e.turn_id = i.turn_id and e.role = 'person'
        and e.parts #>> '{0,text}' = i.body ->> 'text'
      where i.conversation_id >= $1 and i.kind = 'message' group by 1 having count(e.id) <> 1`,
  );
  await none(
    'unheard',
    `select i.external_id, a.answer from inbox i join turn t on t.id = i.turn_id, lateral (select e.parts #>> '{0,text}' as answer
        from entry e where e.turn_id = t.id and e.role = 'assistant' order by e.id desc limit 1) a
      where i.conversation_id >= $1 and i.kind = 'message' and t.state in ('answered', 'limit')
        and position(i.body ->> 'text' in a.answer) = 0`,
  );
  await none(
    'accepted order',
    `select * from (select e.id, max(e.id) over (partition by i.turn_id, i.person_id, i.address_id order by i.position) as highest,
        i.external_id from inbox i join entry e on e.turn_id = i.turn_id and e.role = 'person'
          and e.parts #>> '{0,text}' = i.body ->> 'text'
        where i.conversation_id >= $1 and i.kind = 'message' and i.turn_id is not null) x where id < highest`,
  );

  // Calls: what the ledger says is what took place, and what the model was told.
  const ledger = await rows(
    `select f.turn_id || '/' || f.call_id as key, f.class, f.tool, f.state, f.child_turn_id as child, e.parts #>> '{0,text}' as told
      from effect f left join entry e on e.turn_id = f.turn_id and e.call_id = f.call_id and e.role = 'tool'
      where f.turn_id in (select id from turn where conversation_id >= $1)`,
  );
  for (const { key, class: kind, tool, state, child, told } of ledger) {
    const ran = out.effects.get(key) ?? 0;
    if (kind === 'once' && ran > 1) world.fail('once', `${key} ran ${ran} times`);
    if (kind !== 'read' && state === 'not run' && ran > 0) world.fail('not run', `${key} ran ${ran} times`);
    if (state === 'done' && !child && ran === 0) world.fail('done', `${key} never ran`);
    const words = {
      done: /^(done|answer)/,
      failed: /^(failed|Error)/,
      unknown: /^(unknown|Error: this call was interrupted)/,
      'not run': /./,
    };
    if (tool !== 'spawn' && state in words && !words[state as keyof typeof words].test(told ?? ''))
      world.fail('told', `${key} is ${state}, told ${told}`);
  }

  // Children: exactly one result, and nothing that opens a turn after a stop.
  await none(
    'result of a child',
    `select k.id, k.waited, k.state, count(i.id) from turn k left join inbox i on i.external_id = k.id and i.channel = 'subagent'
      where k.conversation_id >= $1 and k.parent_turn_id is not null group by k.id having count(i.id) <> case when k.waited then 0 else 1 end`,
  );
  await none(
    'opened after a stop',
    `select k.id, i.turn_id from turn k join inbox i on i.external_id = k.id and i.channel = 'subagent' and i.kind = 'result'
      where k.conversation_id >= $1 and k.mark_position is not null`,
  );

  // Usage: once for each answer that was bought and reached the store; steps without a gap.
  await none(
    'usage',
    `select t.id, t.steps, count(u.token) from turn t left join usage u on u.turn_id = t.id and u.recorded where t.conversation_id >= $1
      group by t.id having count(u.token) <> t.steps or t.steps <> (select coalesce(max(step), 0) from step s where s.turn_id = t.id)
        or t.steps <> (select count(*) from step s where s.turn_id = t.id)`,
  );
  for (const { token } of await rows(
    `select token from usage u join turn t on t.id = u.turn_id where t.conversation_id >= $1`,
  ))
    if (!out.bought.has(token)) world.fail('usage', `${token} was never bought`);

  // Replies: visible once each, and marked where nobody could look.
  const keys = new Set(out.copies.map(({ key }) => key));
  for (const key of keys) {
    const copies = out.copies.filter((copy) => copy.key === key && !copy.deleted && !copy.orphaned());
    const unmarked = copies.filter(({ marked }) => !marked);
    if (unmarked.length > 1) world.fail('doubled', `${key} is visible ${unmarked.length} times, unmarked`);
    const canLook = copies[0] && out.lookable.has(copies[0].destination);
    if (canLook && copies.length > 1) world.fail('doubled', `${key} is visible ${copies.length} times`);
  }
  for (const { key, state } of await rows(
    `select delivery_key as key, state from outbox o join address a on a.id = o.destination where a.conversation_id >= $1`,
  )) {
    if (state !== 'sent') world.fail('sent', `${key} is ${state}`);
    else if (!out.find(key)) world.fail('sent', `${key} is sent, and nothing is visible`);
  }
}

/** One conversation after the other: turns in order, each call with one result, and nothing between the two. */
function checkTranscripts({ world }: Parts, entries: EntryRow[]): void {
  let last: EntryRow | undefined;
  let open = new Set<string>();
  for (const entry of entries) {
    const { turn, role, callId } = entry;
    if (last?.conversation !== entry.conversation) open = new Set();
    else if (entry.seq < last.seq) world.fail('transcript', `${turn} writes after ${last.turn}`);
    if (role === 'tool') {
      if (!callId || !open.delete(`${turn}/${callId}`))
        world.fail('transcript', `${turn}/${callId} has a result without a call`);
    } else if (open.size > 0) world.fail('transcript', `${role} of ${turn} stands between ${[...open]} and its result`);
    for (const id of entry.calls) open.add(`${turn}/${id}`);
    last = entry;
  }
}
