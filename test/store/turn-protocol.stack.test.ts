// The turn's protocol rule by rule, against a real PostgreSQL and without an engine.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { ClaimedTurn } from '../../store/rows.js';
import { attemptOf, call, message, openTestStore, reply, type TestStore } from '../support/store.js';

let t: TestStore;
let chats = 0;

beforeAll(async () => {
  t = await openTestStore();
});
afterAll(() => t.close());

/** A chat of its own for each test. */
function chat(): string {
  return `chat ${++chats}`;
}

async function claimed(text: string, changes: Parameters<typeof message>[1]): Promise<ClaimedTurn> {
  const accepted = await t.store.conversations.accept(message(text, changes));
  const turn = accepted.claimed[0];
  if (!turn) throw new Error('no turn was claimed');
  return turn;
}

async function opened(turn: ClaimedTurn, step: number, attempt = attemptOf(turn.owner)) {
  const result = await t.store.transcript.openStep({ turnId: turn.turnId, step, attempt });
  if (result.kind !== 'open') throw new Error(`not open: ${JSON.stringify(result)}`);
  return { ...result, attempt };
}

async function transcript(conversationId: string, turnId: string): Promise<string[]> {
  const entries = await t.store.transcript.entries({ conversationId, turnId, maxTokens: 1e9 });
  return entries.map(
    ({ role, parts }) => `${role}: ${parts.map((part) => (part.kind === 'call' ? part.callId : part.text)).join(' ')}`,
  );
}

async function rows(sql: string, values: unknown[] = []) {
  return (await t.pool.query(sql, values)).rows;
}

test('a message delivered twice belongs to one turn', async () => {
  const first = message('hello', { chat: chat() });
  const once = await t.store.conversations.accept(first);
  const twice = await t.store.conversations.accept(first);
  expect(twice).toMatchObject({ redelivered: true, turnId: once.turnId, claimed: once.claimed });
  expect(await rows('select count(*)::int as n from turn where conversation_id = $1', [once.conversationId])).toEqual([
    { n: 1 },
  ]);
});

test('two first messages of one chat at once find one conversation', async () => {
  const place = chat();
  const all = await Promise.all(
    Array.from({ length: 8 }, (_, n) => t.store.conversations.accept(message(`m${n}`, { chat: place }))),
  );
  expect(new Set(all.map((accepted) => accepted.conversationId)).size).toBe(1);
  expect(all.flatMap((accepted) => accepted.claimed)).toHaveLength(1);
});

test('a message during a turn joins it at its next step, another person waits for the next turn', async () => {
  const place = chat();
  const turn = await claimed('first', { chat: place });
  const step1 = await opened(turn, 1);
  await t.store.conversations.accept(message('and this', { chat: place }));
  await t.store.conversations.accept(message('me too', { chat: place, externalUserId: 'guest' }));
  await t.store.transcript.recordStep(reply(turn.turnId, 1, step1.attempt, { calls: [call('s1.c1', 'look')] }));
  const intent = await t.store.effects.intend({ turnId: turn.turnId, callId: 's1.c1' }, attemptOf(turn.owner), 'h1');
  expect(intent).toMatchObject({ kind: 'ended', outcome: { outcome: 'not run' } });
  const step2 = await opened(turn, 2);
  const done = await t.store.transcript.recordStep(reply(turn.turnId, 2, step2.attempt, { text: 'Both read.' }));
  expect(await transcript(turn.conversationId, turn.turnId)).toEqual([
    'person: first',
    'assistant: s1.c1',
    expect.stringMatching(/^tool: Skipped: a new message/),
    'person: and this',
    'assistant: Both read.',
  ]);
  expect(done.claimed).toMatchObject([{ turnId: `${turn.conversationId}-2` }]);
});

test('a recorded step is returned as it is, and a repeated recording finds its own row', async () => {
  const turn = await claimed('hi', { chat: chat() });
  const { attempt } = await opened(turn, 1);
  const record = reply(turn.turnId, 1, attempt, { calls: [call('s1.c1', 'look')] });
  const recorded = await t.store.transcript.recordStep(record);
  expect(await t.store.transcript.recordStep(record)).toEqual(recorded);
  const later = attemptOf(turn.owner, { number: 2 });
  expect(await t.store.transcript.openStep({ turnId: turn.turnId, step: 1, attempt: later })).toEqual({
    kind: 'settled',
    result: recorded.result,
    claimed: [],
  });
  expect(await rows('select count(*)::int as n from usage where turn_id = $1', [turn.turnId])).toEqual([{ n: 1 }]);
});

test('an answer of an attempt that was overtaken is dropped, and its usage booked', async () => {
  const turn = await claimed('hi', { chat: chat() });
  const old = await opened(turn, 1);
  const newer = await opened(turn, 1, attemptOf(turn.owner, { number: 2 }));
  await expect(
    t.store.transcript.recordStep(reply(turn.turnId, 1, old.attempt, { text: 'late' })),
  ).rejects.toMatchObject({ type: 'Overtaken' });
  await t.store.transcript.recordStep(reply(turn.turnId, 1, newer.attempt, { text: 'in time' }));
  expect(await transcript(turn.conversationId, turn.turnId)).toEqual(['person: hi', 'assistant: in time']);
  expect(await rows('select recorded from usage where turn_id = $1 order by recorded', [turn.turnId])).toEqual([
    { recorded: false },
    { recorded: true },
  ]);
});

test('an older attempt of the same run cannot open after a later one', async () => {
  const turn = await claimed('hi', { chat: chat() });
  await opened(turn, 1, attemptOf(turn.owner, { number: 2 }));
  await expect(
    t.store.transcript.openStep({ turnId: turn.turnId, step: 1, attempt: attemptOf(turn.owner, { number: 1 }) }),
  ).rejects.toMatchObject({ type: 'Overtaken' });
});

test('a run that does not own the turn is superseded and closes nothing', async () => {
  const turn = await claimed('hi', { chat: chat() });
  const stranger = attemptOf('turn/somebody/1');
  expect(await t.store.transcript.openStep({ turnId: turn.turnId, step: 1, attempt: stranger })).toMatchObject({
    result: { state: 'superseded' },
  });
  expect(await t.store.turns.close(turn.turnId, 'turn/somebody/1', { outcome: 'failed' })).toEqual({
    outcome: 'superseded',
    claimed: [],
  });
  expect(await t.store.turns.find(turn.turnId)).toMatchObject({ state: 'claimed' });
});

test('a step does not open while an earlier call has no result', async () => {
  const turn = await claimed('hi', { chat: chat() });
  const { attempt } = await opened(turn, 1);
  await t.store.transcript.recordStep(reply(turn.turnId, 1, attempt, { calls: [call('s1.c1', 'look')] }));
  await expect(opened(turn, 2)).rejects.toMatchObject({ type: 'Overtaken' });
  const ref = { turnId: turn.turnId, callId: 's1.c1' };
  const holder = attemptOf(turn.owner);
  await t.store.effects.intend(ref, holder, 'h1');
  await t.store.effects.finish(ref, holder.token, { outcome: 'done', text: 'seen' });
  await opened(turn, 2);
});

test('the answer, the waiting message and the next turn are decided in one transaction', async () => {
  const place = chat();
  const turn = await claimed('first', { chat: place });
  const { attempt } = await opened(turn, 1);
  const waits = await t.store.conversations.accept(message('second', { chat: place }));
  expect(waits.turnId).toBeNull();
  const done = await t.store.transcript.recordStep(reply(turn.turnId, 1, attempt, { text: 'First answered.' }));
  expect(done.result.state).toBe('answered');
  expect(done.claimed).toMatchObject([{ owner: `turn/${turn.conversationId}/2` }]);
  expect(await t.store.turns.ofMessage(waits.inboxId)).toBe(`${turn.conversationId}-2`);
  // Whoever finds the closing recorded starts the claimed turn once more.
  expect(
    await t.store.transcript.openStep({ turnId: turn.turnId, step: 1, attempt: attemptOf(turn.owner, { number: 2 }) }),
  ).toMatchObject({ claimed: done.claimed });
});

test('a call is started once, and a later attempt takes an idempotent one over', async () => {
  const turn = await claimed('hi', { chat: chat() });
  const { attempt } = await opened(turn, 1);
  await t.store.transcript.recordStep(
    reply(turn.turnId, 1, attempt, { calls: [call('s1.c1', 'write'), call('s1.c2', 'mail', { effect: 'once' })] }),
  );
  const write = { turnId: turn.turnId, callId: 's1.c1' };
  const first = attemptOf(turn.owner, { number: 1 });
  const second = attemptOf(turn.owner, { number: 2 });
  expect(await t.store.effects.intend(write, first, 'h1')).toMatchObject({ kind: 'go' });
  await t.store.effects.remember(write, first.token, { before: 'a' });
  expect(await t.store.effects.intend(write, second, 'h1')).toMatchObject({
    kind: 'go',
    effect: { memo: { before: 'a' } },
  });
  await expect(t.store.effects.finish(write, first.token, { outcome: 'done', text: 'late' })).rejects.toMatchObject({
    type: 'Overtaken',
  });
  await expect(t.store.effects.intend(write, first, 'h1')).rejects.toMatchObject({ type: 'Overtaken' });
  expect(await t.store.effects.finish(write, second.token, { outcome: 'done', text: 'ok' })).toMatchObject({
    outcome: 'done',
  });
  const mail = { turnId: turn.turnId, callId: 's1.c2' };
  await t.store.effects.intend(mail, first, 'h1');
  await expect(t.store.effects.intend(mail, second, 'h1')).rejects.toMatchObject({ name: 'Interrupted' });
});

test('settling is conditional on what was read', async () => {
  const turn = await claimed('hi', { chat: chat() });
  const { attempt } = await opened(turn, 1);
  await t.store.transcript.recordStep(
    reply(turn.turnId, 1, attempt, { calls: [call('s1.c1', 'mail', { effect: 'once' })] }),
  );
  const ref = { turnId: turn.turnId, callId: 's1.c1' };
  const holder = attemptOf(turn.owner);
  await t.store.effects.intend(ref, holder, 'h1');
  const seen = await t.store.effects.read(ref);
  await t.store.effects.finish(ref, holder.token, { outcome: 'done', text: 'sent' });
  expect(await t.store.effects.settle(seen, { outcome: 'unknown', text: 'maybe' })).toMatchObject({ outcome: 'done' });
  expect(await transcript(turn.conversationId, turn.turnId)).toContain('tool: sent');
});

test('a stop names what waited, and what comes later opens the next turn', async () => {
  const place = chat();
  const turn = await claimed('long work', { chat: place });
  const { attempt } = await opened(turn, 1);
  await t.store.transcript.recordStep(
    reply(turn.turnId, 1, attempt, {
      calls: [call('s1.c1', 'read', { effect: 'read' }), call('s1.c2', 'mail', { effect: 'once' })],
    }),
  );
  const mail = { turnId: turn.turnId, callId: 's1.c2' };
  await t.store.effects.intend(mail, attemptOf(turn.owner), 'h1');
  await t.store.conversations.accept(message('waits', { chat: place }));
  const stop = message('/stop', { chat: place, command: 'stop' });
  expect((await t.store.conversations.accept(stop)).acted).toEqual({
    stopped: [{ turnId: turn.turnId, owner: turn.owner }],
    reply: 'Stopped 1.',
  });
  await t.store.conversations.accept(message('later', { chat: place }));
  expect(
    await t.store.transcript.openStep({ turnId: turn.turnId, step: 2, attempt: attemptOf(turn.owner) }),
  ).toMatchObject({ result: { state: 'stopped' } });
  const closed = await t.store.turns.close(turn.turnId, turn.owner, { outcome: 'stopped' });
  expect(closed).toMatchObject({ outcome: 'stopped', claimed: [{ turnId: `${turn.conversationId}-2` }] });
  expect(await transcript(turn.conversationId, turn.turnId)).toEqual([
    'person: long work',
    'assistant: s1.c1 s1.c2',
    'tool: Error: this call did not run.',
    expect.stringMatching(/^tool: Error: this call was interrupted/),
    'person: waits',
    'notice: stopped. waits',
  ]);
  // A redelivered stop has nothing left to stop, and leaves the next turn alone.
  expect((await t.store.conversations.accept(stop)).acted?.stopped).toEqual([]);
  expect(await t.store.turns.find(`${turn.conversationId}-2`)).toMatchObject({ state: 'claimed', markPosition: null });
});

test('a stop closes a turn that has not begun', async () => {
  const place = chat();
  const turn = await claimed('never begins', { chat: place });
  const stop = await t.store.conversations.accept(message('/stop', { chat: place, command: 'stop' }));
  expect(stop).toMatchObject({ claimed: [], acted: { reply: 'Stopped 1.' } });
  expect(await t.store.turns.find(turn.turnId)).toMatchObject({ state: 'stopped' });
  expect(await transcript(turn.conversationId, turn.turnId)).toEqual(['person: never begins', 'notice: stopped.']);
});

test('/new begins the context anew and clears nothing', async () => {
  const place = chat();
  const turn = await claimed('old', { chat: place });
  const { attempt } = await opened(turn, 1);
  await t.store.transcript.recordStep(reply(turn.turnId, 1, attempt, { text: 'Old answer.' }));
  await t.store.conversations.accept(message('/new', { chat: place, command: 'new' }));
  const next = await claimed('fresh', { chat: place });
  await opened(next, 1);
  expect(await transcript(next.conversationId, next.turnId)).toEqual(['person: fresh']);
  expect(await rows('select count(*)::int as n from entry where conversation_id = $1', [turn.conversationId])).toEqual([
    { n: 3 },
  ]);
});

test('at a limit the step is offered no tools and closes the turn', async () => {
  const limited = await openTestStore({ limits: { ...t.deps.limits, chat: { ...t.deps.limits.chat, steps: 1 } } });
  try {
    const { claimed: turns } = await limited.store.conversations.accept(message('hi'));
    const turn = turns[0];
    if (!turn) throw new Error('no turn');
    const first = attemptOf(turn.owner);
    expect(await limited.store.transcript.openStep({ turnId: turn.turnId, step: 1, attempt: first })).toMatchObject({
      limit: null,
    });
    await limited.store.transcript.recordStep(
      reply(turn.turnId, 1, first, { calls: [call('s1.c1', 'x', { refusal: 'Error: no.' })] }),
    );
    const second = attemptOf(turn.owner);
    expect(await limited.store.transcript.openStep({ turnId: turn.turnId, step: 2, attempt: second })).toMatchObject({
      limit: 'model calls',
    });
    const done = await limited.store.transcript.recordStep(
      reply(turn.turnId, 2, second, { text: 'So far.', limit: 'model calls' }),
    );
    expect(done.result.state).toBe('limit');
  } finally {
    await limited.close();
  }
});

test('replies of the terminal stand in the transcript, those of a platform wait in the outbox', async () => {
  const place = chat();
  const turn = await claimed('hi', { chat: place, channel: 'fake' });
  const { attempt } = await opened(turn, 1);
  await t.store.transcript.recordStep(reply(turn.turnId, 1, attempt, { text: 'Hello.' }));
  const [row] = await rows('select delivery_key, state from outbox where turn_id = $1', [turn.turnId]);
  expect(row).toEqual({ delivery_key: `${turn.turnId}/answer/1`, state: 'pending' });
});
