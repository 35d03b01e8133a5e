// Attempts that come late, meet each other, or lose the answer of a commit: what the store does at such a moment, one case a test.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Intent } from '../../store/effects.js';
import type { ClaimedTurn } from '../../store/rows.js';
import type { CallPlan } from '../../store/transcript.js';
import { attemptOf, call, message, openTestStore, reply, type TestStore } from '../support/store.js';
import { untilBlocked } from './blocked.js';

let t: TestStore;
let chats = 0;

beforeAll(async () => {
  t = await openTestStore();
});
afterAll(() => t.close());

interface Running {
  turn: ClaimedTurn;
  chat: string;
}

/** A turn whose first step has asked for these calls. */
async function running(calls: CallPlan[]): Promise<Running> {
  const chat = `chat ${++chats}`;
  const { claimed } = await t.store.conversations.accept(message('hi', { chat }));
  const turn = claimed[0];
  if (!turn) throw new Error('no turn was claimed');
  await record(turn, 1, { calls });
  return { turn, chat };
}

async function record(turn: { turnId: string; owner: string }, step: number, changes: Parameters<typeof reply>[3]) {
  const attempt = attemptOf(turn.owner);
  const opened = await t.store.transcript.openStep({ turnId: turn.turnId, step, attempt });
  if (opened.kind !== 'open') throw new Error(`not open: ${JSON.stringify(opened)}`);
  const record = reply(turn.turnId, step, attempt, changes);
  return { record, ...(await t.store.transcript.recordStep(record)) };
}

function spawn(callId: string, wait: boolean) {
  return call(callId, 'spawn', { brief: { task: 'look', label: null, settings: {}, limits: {}, wait } });
}

async function childOf({ turn }: Running): Promise<ClaimedTurn> {
  const { rows } = await t.pool.query('select id from turn where parent_turn_id = $1', [turn.turnId]);
  const child = (await t.store.turns.open()).find(({ turnId }) => turnId === rows[0]?.id);
  if (!child) throw new Error('no child was planned');
  return child;
}

/** Runs `work` while a stop mark is being set on the turn, and commits the mark when the work waits for it. */
async function whileMarked<Result>({ turn }: Running, work: () => Promise<Result>): Promise<Result> {
  const stop = await t.pool.connect();
  try {
    await stop.query('begin');
    await stop.query('update turn set mark_position = 1, marked_at = now() where id = $1', [turn.turnId]);
    const result = work();
    await untilBlocked(t.pool);
    await stop.query('commit');
    return await result;
  } finally {
    stop.release();
  }
}

function intend({ turn }: Running, callId: string, attempt = attemptOf(turn.owner)): Promise<Intent> {
  return t.store.effects.intend({ turnId: turn.turnId, callId }, attempt, 'h1');
}

function stateOf({ turn }: Running, callId: string) {
  return t.store.effects.read({ turnId: turn.turnId, callId }).then(({ state }) => state);
}

test('a call that meets its stop does not begin', async () => {
  const turn = await running([call('s1.c1', 'mail', { effect: 'once' })]);
  expect(await whileMarked(turn, () => intend(turn, 's1.c1'))).toMatchObject({ kind: 'ended' });
  expect(await stateOf(turn, 's1.c1')).toBe('planned');
});

test('a call that is taken over while its turn is stopped does not run again', async () => {
  const turn = await running([call('s1.c1', 'write')]);
  const first = attemptOf(turn.turn.owner);
  await intend(turn, 's1.c1', first);
  const second = attemptOf(turn.turn.owner, { number: 2 });
  expect(await whileMarked(turn, () => intend(turn, 's1.c1', second))).toMatchObject({ kind: 'ended' });
  expect((await t.store.effects.read({ turnId: turn.turn.turnId, callId: 's1.c1' })).token).toBe(first.token);
});

test('an exec that is taken over while its turn is stopped joins, and may not start', async () => {
  const turn = await running([call('s1.c1', 'exec', { effect: 'once', attaches: true })]);
  await intend(turn, 's1.c1');
  const second = attemptOf(turn.turn.owner, { number: 2 });
  expect(await whileMarked(turn, () => intend(turn, 's1.c1', second))).toMatchObject({ kind: 'go', mayStart: false });
});

test('a call whose intent was lost in an outage does not begin after the stop', async () => {
  const turn = await running([call('s1.c1', 'mail', { effect: 'once' })]);
  const attempt = attemptOf(turn.turn.owner);
  await intend(turn, 's1.c1', attempt);
  await t.store.conversations.accept(message('/stop', { chat: turn.chat, command: 'stop' }));
  expect(await intend(turn, 's1.c1', attempt)).toMatchObject({ kind: 'ended', outcome: { outcome: 'not run' } });
  expect(await stateOf(turn, 's1.c1')).toBe('not run');
});

test('a message that arrives before a call begins is heard first', async () => {
  const turn = await running([call('s1.c1', 'mail', { effect: 'once' })]);
  await t.store.conversations.accept(message('wait', { chat: turn.chat, externalUserId: 'somebody else' }));
  expect(await intend(turn, 's1.c1')).toMatchObject({ kind: 'go' });
  const other = await running([call('s1.c1', 'mail', { effect: 'once' })]);
  await t.store.conversations.accept(message('wait', { chat: other.chat }));
  expect(await intend(other, 's1.c1')).toMatchObject({ kind: 'ended', outcome: { outcome: 'not run' } });
});

test('an intent whose answer was lost goes on, and that of a later attempt is interrupted', async () => {
  const turn = await running([call('s1.c1', 'mail', { effect: 'once' })]);
  const attempt = attemptOf(turn.turn.owner);
  await intend(turn, 's1.c1', attempt);
  expect(await intend(turn, 's1.c1', attempt)).toMatchObject({ kind: 'go' });
  await expect(intend(turn, 's1.c1', attemptOf(turn.turn.owner, { number: 2 }))).rejects.toThrow('is gone');
});

test('a call that shows a sign of life while it is given up is not given up', async () => {
  const turn = await running([call('s1.c1', 'mail', { effect: 'once' })]);
  const ref = { turnId: turn.turn.turnId, callId: 's1.c1' };
  const attempt = attemptOf(turn.turn.owner);
  await intend(turn, 's1.c1', attempt);
  const seen = await t.store.effects.read(ref);
  expect(await t.store.effects.renew(ref, attempt.token)).toBe(true);
  await expect(t.store.effects.settle(seen, { outcome: 'unknown', text: 'maybe' })).rejects.toMatchObject({
    type: 'Overtaken',
  });
  expect(await t.store.effects.finish(ref, attempt.token, { outcome: 'done', text: 'sent' })).toMatchObject({
    outcome: 'done',
  });
});

test('a settled call stays as it is: a late result is refused, and renewing says so', async () => {
  const turn = await running([call('s1.c1', 'mail', { effect: 'once' }), call('s1.c2', 'look', { effect: 'read' })]);
  const ref = { turnId: turn.turn.turnId, callId: 's1.c1' };
  const attempt = attemptOf(turn.turn.owner);
  await intend(turn, 's1.c1', attempt);
  await t.store.effects.settle(await t.store.effects.read(ref), { outcome: 'unknown', text: 'maybe' });
  expect(await t.store.effects.renew(ref, attempt.token)).toBe(false);
  expect(await t.store.effects.finish(ref, attempt.token, { outcome: 'done', text: 'late' })).toMatchObject({
    outcome: 'unknown',
  });
  const read = { ...ref, callId: 's1.c2' };
  await t.store.effects.settle(await t.store.effects.read(read), { outcome: 'not run', text: 'no' });
  expect(await t.store.effects.finish(read, 'late', { outcome: 'done', text: 'late' })).toMatchObject({
    outcome: 'not run',
  });
});

test('the result of a refused call stands after its call', async () => {
  const { turn } = await running([call('s1.c1', 'no', { refusal: 'Error: no.' }), call('s1.c2', 'look')]);
  const entries = await t.store.transcript.entries({ ...turn, maxTokens: 1e9 });
  expect(entries.map(({ role }) => role)).toEqual(['person', 'assistant', 'tool']);
});

test('the turn that a child opened for its parent is started again by a closing that is repeated', async () => {
  const parent = await running([spawn('s1.c1', false)]);
  await record(parent.turn, 2, { text: 'It works in the background.' });
  const child = await childOf(parent);
  const first = await t.store.turns.close(child.turnId, child.owner, { outcome: 'failed' });
  expect(first.claimed).toMatchObject([{ turnId: `${parent.turn.conversationId}-2`, channel: 'terminal' }]);
  expect(await t.store.turns.close(child.turnId, child.owner, { outcome: 'failed' })).toEqual(first);
});

test('the same for a child whose last step is recorded or opened again', async () => {
  const parent = await running([spawn('s1.c1', false)]);
  await record(parent.turn, 2, { text: 'It works in the background.' });
  const child = await childOf(parent);
  const { record: last, claimed } = await record(child, 1, { text: 'Found.' });
  expect(claimed).toMatchObject([{ turnId: `${parent.turn.conversationId}-2` }]);
  expect(await t.store.transcript.recordStep(last)).toMatchObject({ claimed });
  expect(
    await t.store.transcript.openStep({
      turnId: child.turnId,
      step: 1,
      attempt: attemptOf(child.owner, { number: 2 }),
    }),
  ).toMatchObject({ kind: 'settled', claimed });
});

test('a background child that has not begun is started by the closing of its parent, again when that is repeated', async () => {
  const parent = await running([spawn('s1.c1', false)]);
  const { record: last, claimed } = await record(parent.turn, 2, { text: 'It works in the background.' });
  expect(claimed).toMatchObject([{ kind: 'subagent', owner: `turn/${parent.turn.conversationId}/1/sub/s1.c1` }]);
  expect((await t.store.transcript.recordStep(last)).claimed).toMatchObject(claimed);
});

test('a waited child that has not begun ends with its parent, and its call did not run', async () => {
  const parent = await running([spawn('s1.c1', true)]);
  const child = await childOf(parent);
  await t.store.turns.close(parent.turn.turnId, parent.turn.owner, { outcome: 'failed' });
  expect(await t.store.turns.find(child.turnId)).toMatchObject({ state: 'stopped' });
  expect(await stateOf(parent, 's1.c1')).toBe('not run');
});

test('a waited child that runs ends at its next step when its parent has closed', async () => {
  const parent = await running([spawn('s1.c1', true)]);
  const child = await childOf(parent);
  await record(child, 1, { calls: [call('s1.c1', 'look', { refusal: 'Error: no.' })] });
  await t.store.turns.close(parent.turn.turnId, parent.turn.owner, { outcome: 'failed' });
  expect(
    await t.store.transcript.openStep({ turnId: child.turnId, step: 2, attempt: attemptOf(child.owner) }),
  ).toMatchObject({ result: { state: 'stopped' } });
  await t.store.turns.close(child.turnId, child.owner, { outcome: 'stopped' });
  expect(await stateOf(parent, 's1.c1')).toBe('unknown');
});

test('the result of a background subagent that has read outside text taints the turn that hears it', async () => {
  const parent = await running([spawn('s1.c1', false)]);
  await record(parent.turn, 2, { text: 'It works in the background.' });
  const child = await childOf(parent);
  await record(child, 1, { calls: [call('s1.c1', 'fetch', { effect: 'read' })] });
  const ref = { turnId: child.turnId, callId: 's1.c1' };
  await t.store.effects.finish(ref, 'any', { outcome: 'done', text: 'from outside', tainted: true });
  const { claimed } = await record(child, 2, { text: 'Found.' });
  const next = claimed[0];
  if (!next) throw new Error('no turn was claimed');
  const opened = await t.store.transcript.openStep({ turnId: next.turnId, step: 1, attempt: attemptOf(next.owner) });
  expect(opened).toMatchObject({ kind: 'open', turn: { tainted: true } });
  expect(await t.store.turns.find(next.turnId)).toMatchObject({ tainted: true });
  expect(await t.store.turns.find(parent.turn.turnId)).toMatchObject({ tainted: false });
});

test('after a stop no turn opens by itself, and the next one hears of the stopped subagent', async () => {
  const parent = await running([spawn('s1.c1', false)]);
  const child = await childOf(parent);
  await record(child, 1, { calls: [call('s1.c1', 'look')] });
  await record(parent.turn, 2, { text: 'It works in the background.' });
  const stop = message('/stop', { chat: parent.chat, command: 'stop' });
  expect((await t.store.conversations.accept(stop)).acted?.stopped).toEqual([
    { turnId: child.turnId, owner: child.owner },
  ]);
  // Until its run obeys, a redelivered stop names the child again.
  expect((await t.store.conversations.accept(stop)).acted?.stopped).toEqual([
    { turnId: child.turnId, owner: child.owner },
  ]);
  expect(await t.store.turns.close(child.turnId, child.owner, { outcome: 'failed' })).toEqual({
    outcome: 'stopped',
    claimed: [],
  });
  const { claimed } = await t.store.conversations.accept(message('and now?', { chat: parent.chat }));
  const next = claimed[0];
  if (!next) throw new Error('no turn was claimed');
  await record(next, 1, { text: 'Nothing.' });
  const entries = await t.store.transcript.entries({ ...next, maxTokens: 1e9 });
  expect(entries.slice(-3).map(({ role }) => role)).toEqual(['note', 'person', 'assistant']);
});

test('the first messages of one person in several chats at once make one person', async () => {
  const externalUserId = `person ${++chats}`;
  const all = Array.from({ length: 8 }, () =>
    message('hi', { chat: `chat ${++chats}`, channel: 'fake', externalUserId }),
  );
  await Promise.all(all.map((one) => t.store.conversations.accept(one)));
  const { rows } = await t.pool.query(
    'select count(*)::int as n from person p where not exists (select from account_person a where a.person_id = p.id)',
  );
  expect(rows).toEqual([{ n: 0 }]);
});

test('a sweep sees every open turn, however many there are', async () => {
  const started = await Promise.all([1, 2, 3, 4, 5].map(() => running([call('s1.c1', 'write')])));
  const seen = (await t.store.turns.open(2)).map(({ turnId }) => turnId);
  expect(seen).toEqual(expect.arrayContaining(started.map(({ turn }) => turn.turnId)));
  expect(new Set(seen).size).toBe(seen.length);
});

test('a subagent that is planned while its ancestors are being stopped is stopped with them', async () => {
  const root = await running([spawn('s1.c1', true)]);
  const child = await childOf(root);
  await record(child, 1, { calls: [spawn('s1.c1', true)] });
  const grandchild = await childOf({ turn: child, chat: root.chat });
  const attempt = attemptOf(grandchild.owner);
  await t.store.transcript.openStep({ turnId: grandchild.turnId, step: 1, attempt });
  const gate = await t.pool.connect();
  try {
    await gate.query('begin');
    await gate.query('select from turn where id = $1 for no key update', [grandchild.turnId]);
    // It holds the locks of its conversation and its parent's, and waits at the gate; the stop waits for it.
    const plans = t.store.transcript.recordStep(
      reply(grandchild.turnId, 1, attempt, { calls: [spawn('s1.c1', true)] }),
    );
    await untilBlocked(t.pool);
    const stop = t.store.conversations.accept(message('/stop', { chat: root.chat, command: 'stop' }));
    await untilBlocked(t.pool, 2);
    await gate.query('commit');
    expect((await plans).result.state).toBe('open');
    expect((await stop).acted?.reply).toBe('Stopped 4.');
  } finally {
    gate.release();
  }
  const last = await t.pool.query('select state from turn where parent_turn_id = $1', [grandchild.turnId]);
  expect(last.rows).toEqual([{ state: 'stopped' }]);
});

test('a message for later begins with its wait', async () => {
  const chat = `chat ${++chats}`;
  const { claimed } = await t.store.conversations.accept(message('an album', { chat, delayMs: 60_000 }));
  expect(claimed[0]?.delayMs).toBeGreaterThan(50_000);
  const again = await t.store.conversations.accept(message('of two', { chat, delayMs: 60_000 }));
  expect(again).toMatchObject({ turnId: null, claimed: [] });
  const [turn] = (await t.store.turns.open()).filter(({ turnId }) => turnId === claimed[0]?.turnId);
  expect(turn?.delayMs).toBeGreaterThan(50_000);
});

test('a new owner takes the turn as it stands, and the old run is refused everything', async () => {
  const { turn } = await running([call('s1.c1', 'look', { refusal: 'Error: no.' })]);
  await t.pool.query('update turn set owner = $2 where id = $1', [turn.turnId, `job/7/${turn.turnId}`]);
  expect(await t.store.turns.renewOwner(turn.turnId, `job/7/${turn.turnId}`)).toBe(true);
  const renewed = `turn/${turn.conversationId}/1`;
  expect(await t.store.turns.find(turn.turnId)).toMatchObject({ owner: renewed, state: 'running' });
  const old = attemptOf(`job/7/${turn.turnId}`);
  expect(await t.store.transcript.openStep({ turnId: turn.turnId, step: 2, attempt: old })).toMatchObject({
    result: { state: 'superseded' },
  });
  expect(await t.store.turns.close(turn.turnId, old.workflowId, { outcome: 'failed' })).toMatchObject({
    outcome: 'superseded',
  });
  await record({ turnId: turn.turnId, owner: renewed }, 2, { text: 'Done.' });
});

test('an answer of a turn that was stopped meanwhile is dropped, and its usage booked', async () => {
  const { turn, chat } = await running([call('s1.c1', 'look', { refusal: 'Error: no.' })]);
  const attempt = attemptOf(turn.owner);
  await t.store.transcript.openStep({ turnId: turn.turnId, step: 2, attempt });
  await t.store.conversations.accept(message('/stop', { chat, command: 'stop' }));
  const answer = reply(turn.turnId, 2, attempt, { text: 'too late' });
  for (let n = 0; n < 2; n++)
    expect(await t.store.transcript.recordStep(answer)).toEqual({
      result: { state: 'stopped', calls: [] },
      claimed: [],
    });
  const { rows } = await t.pool.query('select recorded from usage where token = $1', [attempt.token]);
  expect(rows).toEqual([{ recorded: false }]);
});

test('what a turn reads ends where its budget ends, and begins where its view begins', async () => {
  const { turn } = await running([call('s1.c1', 'look', { refusal: 'Error: no.' })]);
  const { conversationId, turnId } = turn;
  // A long past of 1,000 entries of 10 tokens, in a turn of its own.
  await t.pool.query(
    `insert into turn (id, conversation_id, seq, kind, state, owner, person_id, root_turn_id)
      select conversation_id || '-0', conversation_id, 0, 'chat', 'answered', 'past/' || id, person_id, conversation_id || '-0'
      from turn where id = $1`,
    [turnId],
  );
  await t.pool.query(
    `insert into entry (id, conversation_id, turn_id, role, parts, tokens) overriding system value
      select n - 2000, $1::bigint, $1 || '-0', 'person', jsonb_build_array(jsonb_build_object('kind', 'text', 'text', n::text)), 10
      from generate_series(1, 1000) n`,
    [conversationId],
  );
  await t.pool.query('update conversation set view_from = 0 where id = $1', [conversationId]);
  const read = async (maxTokens: number, after = '-100000') =>
    (await t.store.transcript.entries({ conversationId, turnId, maxTokens, after })).map(({ id }) => Number(id));
  const own = await read(0);
  expect(own).toHaveLength(3);
  const past = Array.from({ length: 1_000 }, (_, n) => n - 1_999);
  expect(await read(1e9)).toEqual([...past, ...own]);
  const { rows } = await t.pool.query('select sum(tokens)::int as n from entry where turn_id = $1', [turnId]);
  expect(await read(rows[0].n + 4_509)).toEqual([...past.slice(-450), ...own]);
  expect(await read(1e9, '-1100')).toEqual([...past.slice(-100), ...own]);
  await t.pool.query('update conversation set view_from = 1 where id = $1', [conversationId]);
  expect(await read(1e9)).toEqual(own);
});
