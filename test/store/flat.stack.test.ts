// What a turn costs does not grow with the past: counted in rows that PostgreSQL reads, never in time.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createStore, type Store } from '../../store/index.js';
import { readTurnReport } from '../../store/overview.js';
import { openPool, type Pool } from '../../store/pool.js';
import { attemptOf, call, message, openTestStore, reply, type TestStore } from '../support/store.js';

const past = 20_000;
const chat = 'long past';

let t: TestStore;
let pool: Pool;
let store: Store;

beforeAll(async () => {
  t = await openTestStore();
  await t.store.conversations.accept(message('first', { chat, channel: 'fake' }));
  await makePast(t.pool);
  pool = openPool({ databaseUrl: t.databaseUrl, max: 1 }); // counts are those of one connection
  store = createStore({ ...t.deps, pool });
});
afterAll(async () => {
  await pool.end();
  await t.close();
});

/** One conversation with 20,000 messages, answers, calls and replies, ten in each turn, among 2,000 short ones that look typical. */
async function makePast(client: Pool): Promise<void> {
  const make = async (sql: string) => client.query(sql.replaceAll('PAST', String(past)));
  await make(`update turn set state = 'answered'`);
  await make(`update inbox set entered = true`);
  await make(`update conversation set active_turn = null, next_seq = PAST / 10 + 2, next_position = PAST + 2`);
  await make(`insert into turn (id, conversation_id, seq, kind, state, owner, person_id, address_id, root_turn_id)
    select conversation_id || '-' || n, conversation_id, n, 'chat', 'answered', 'past ' || n, person_id, address_id, conversation_id || '-' || n
    from turn, generate_series(2, PAST / 10 + 1) n`);
  const each = `turn t, generate_series(0, 9) n where t.seq > 1`;
  await make(`insert into inbox (channel, account, external_id, kind, person_id, address_id, conversation_id, position, body, turn_id, entered)
    select 'fake', 'local', 'past ' || seq || '.' || n, 'message', person_id, address_id, conversation_id, (seq - 2) * 10 + n + 2,
      '{"text": "hello"}', id, true from ${each}`);
  await make(`insert into entry (conversation_id, turn_id, role, parts, tokens)
    select conversation_id, id, 'person', '[{"kind": "text", "text": "hello"}]', 10 from ${each} order by seq, n`);
  await make(`insert into effect (turn_id, call_id, step, ordinal, tool, class, state, decision, arguments, args_hash, summary)
    select id, 's1.c' || n, 1, n, 'read', 'read', 'done', 'allow', '{}', '', '' from ${each}`);
  await make(`insert into outbox (delivery_key, destination, turn_id, source, part, state, body)
    select id || '/answer/' || n, address_id, id, 'answer', n, 'sent', '{}' from ${each}`);
  await make(`insert into conversation (kind) select 'chat' from generate_series(1, 2000)`);
  await make(`insert into inbox (channel, account, external_id, kind, person_id, conversation_id, position, body, turn_id, entered)
    select 'fake', 'local', 'other ' || c.id || '.' || n, 'message', t.person_id, c.id, n, '{"text": "hello"}', t.id, true
    from conversation c, generate_series(1, 10) n, turn t where t.seq = 2 and c.id <> t.conversation_id`);
  await make('analyze');
}

async function rowsRead(): Promise<number> {
  await pool.query('select pg_stat_force_next_flush()');
  const { rows } = await pool.query<{ n: number }>(
    'select sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::int as n from pg_stat_user_tables',
  );
  return rows[0]?.n ?? 0;
}

/** A turn with two steps, a call, a message that joins, and its delivery; then one that is stopped. */
async function twoTurns(): Promise<void> {
  const accept = (text: string, command?: 'stop') =>
    store.conversations.accept(message(text, { chat, channel: 'fake', command }));
  const turn = (await accept('hi')).claimed[0];
  if (!turn) throw new Error('no turn was claimed');
  const { turnId, owner, conversationId } = turn;
  const ref = { turnId, callId: 's1.c1' };
  const attempt = attemptOf(owner);
  await store.transcript.openStep({ turnId, step: 1, attempt });
  await store.transcript.entries({ conversationId, turnId, maxTokens: 1_000 });
  await store.transcript.recordStep(reply(turnId, 1, attempt, { calls: [call('s1.c1', 'write')] }));
  await store.effects.intend(ref, attempt, 'h1');
  await store.effects.finish(ref, attempt.token, { outcome: 'done', text: 'ok', whole: 'ok', tainted: true });
  await store.effects.result(conversationId, `result:${turnId}/s1.c1`);
  await accept('and this');
  const second = attemptOf(owner);
  await store.transcript.openStep({ turnId, step: 2, attempt: second });
  await store.transcript.recordStep(reply(turnId, 2, second, { text: 'done' }));
  const destination = (await store.turns.find(turnId))?.addressId ?? '';
  const send = async () => {
    for (;;) {
      const claim = await store.outbox.claim({ destination, holder: 'a', token: 'a' });
      if (claim.kind !== 'row') return;
      await store.outbox.markSent(claim.row, {});
    }
  };
  await send();
  await readTurnReport({ pool }, turnId);
  const stopped = (await accept('long work')).claimed[0];
  await accept('waits');
  if (stopped) await store.transcript.openStep({ turnId: stopped.turnId, step: 1, attempt: attemptOf(stopped.owner) });
  await accept('/stop', 'stop');
  if (stopped) await store.turns.close(stopped.turnId, stopped.owner, { outcome: 'stopped' });
  await send();
  await store.turns.open();
  await store.outbox.dueDestinations();
  await store.turns.liveCalls([`${turnId}/s1.c1`]);
}

test('two turns read a few thousand rows at most, whatever lies behind them', async () => {
  // A prepared statement is planned for its values five times, then once for all.
  for (let n = 0; n < 8; n++) {
    const before = await rowsRead();
    await twoTurns();
    expect((await rowsRead()) - before).toBeLessThan(past / 4);
  }
});
