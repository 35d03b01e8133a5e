// One sender at a time and destination, in order, and never twice by the same row: the outbox against a real PostgreSQL. Time passes
// by moving what the rows say of it.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Claim, ClaimedRow } from '../../store/outbox.js';
import { attemptOf, message, openTestStore, reply, type TestStore } from '../support/store.js';
import { untilBlocked } from './blocked.js';

let t: TestStore;
let chats = 0;

beforeAll(async () => {
  t = await openTestStore({ split: (_channel, text) => text.split('|') });
});
afterAll(() => t.close());

interface Chat {
  chat: string;
  destination: string;
}

/** A chat with an answer of several parts, `a|b`, for each of its turns. */
async function chatWith(...answers: string[]): Promise<Chat> {
  const chat = `chat ${++chats}`;
  let destination = '';
  for (const answer of answers) destination = await say(chat, answer);
  return { chat, destination };
}

async function say(chat: string, answer: string): Promise<string> {
  const { claimed } = await t.store.conversations.accept(message('hi', { chat, channel: 'fake' }));
  const turn = claimed[0];
  if (!turn) throw new Error('no turn was claimed');
  const attempt = attemptOf(turn.owner);
  await t.store.transcript.openStep({ turnId: turn.turnId, step: 1, attempt });
  await t.store.transcript.recordStep(reply(turn.turnId, 1, attempt, { text: answer }));
  return (await t.store.turns.find(turn.turnId))?.addressId ?? '';
}

function claim({ destination }: Chat, holder: string, seen?: string, token = `token of ${holder}`): Promise<Claim> {
  return t.store.outbox.claim({ destination, holder, token, seen });
}

async function claimed(chat: Chat, holder = 'a', token?: string): Promise<ClaimedRow> {
  const found = await claim(chat, holder, undefined, token);
  if (found.kind !== 'row') throw new Error(`not claimed: ${JSON.stringify(found)}`);
  return found.row;
}

function rowsOf({ destination }: Chat) {
  const sql = `select body ->> 'text' as text, state, was_unknown as unknown from outbox where destination = $1 order by id`;
  return t.pool.query(sql, [destination]).then(({ rows }) => rows);
}

function ago(row: ClaimedRow, seconds: number) {
  return t.pool.query('update outbox set renewed_at = now() - make_interval(secs => $2) where id = $1', [
    row.id,
    seconds,
  ]);
}

test('parts go out one after the other, in order', async () => {
  const chat = await chatWith('a|b', 'c');
  const sent: string[] = [];
  for (let next = await claim(chat, 'a'); next.kind === 'row'; next = await claim(chat, 'a')) {
    sent.push(next.row.text);
    expect(await t.store.outbox.markSent(next.row, { id: next.row.text })).toBe(true);
  }
  expect(sent).toEqual(['a', 'b', 'c']);
  expect(await claim(chat, 'a')).toEqual({ kind: 'nothing due', nextInMs: null });
});

test('nobody passes a row that is being sent', async () => {
  const chat = await chatWith('a', 'b');
  await claimed(chat, 'a');
  expect(await claim(chat, 'b')).toMatchObject({ kind: 'busy', silent: false });
  expect(await rowsOf(chat)).toMatchObject([{ state: 'sending' }, { state: 'pending' }]);
});

test("the holder's next attempt takes its row over at once, marked, and the first one is refused", async () => {
  const chat = await chatWith('a');
  const first = await claimed(chat, 'a', 'attempt 1');
  expect(first.wasUnknown).toBe(false);
  const second = await claimed(chat, 'a', 'attempt 2');
  expect(second).toMatchObject({ id: first.id, wasUnknown: true });
  expect(await t.store.outbox.renew(first)).toBe(false);
  expect(await t.store.outbox.markSent(first, { id: 1 })).toBe(false);
  expect(await t.store.outbox.release(first, 0, 'late')).toBe(false);
  expect(await t.store.outbox.bury(first, 'failed', 'late')).toBe(false);
  expect(await t.store.outbox.markSent(second, { id: 2 })).toBe(true);
  expect(await t.store.outbox.find(first.id)).toEqual({ state: 'sent', receipt: { id: 2 } });
});

test('somebody else takes a row over after two seconds of silence, seen twice', async () => {
  const chat = await chatWith('a');
  const row = await claimed(chat, 'a');
  await ago(row, 1.5);
  expect(await claim(chat, 'b')).toMatchObject({ kind: 'busy', silent: false });
  await ago(row, 3);
  const look = await claim(chat, 'b');
  if (look.kind !== 'busy') throw new Error('taken over at the first look');
  expect(look.silent).toBe(true);
  expect(await claim(chat, 'b', look.seen)).toMatchObject({ kind: 'row', row: { id: row.id, wasUnknown: true } });
});

test('a sign of life between the two looks keeps the row', async () => {
  const chat = await chatWith('a');
  const row = await claimed(chat, 'a');
  await ago(row, 30);
  const look = await claim(chat, 'b');
  if (look.kind !== 'busy') throw new Error('taken over at the first look');
  expect(await t.store.outbox.renew(row)).toBe(true);
  expect(await claim(chat, 'b', look.seen)).toMatchObject({ kind: 'busy', silent: false });
  // Two old signs that differ are a holder that slept and moved on, as a laptop does.
  await ago(row, 20);
  expect(await claim(chat, 'b', look.seen)).toMatchObject({ kind: 'busy', silent: true });
});

test('a clock that jumped back does not keep a silent row for ever', async () => {
  const chat = await chatWith('a');
  const row = await claimed(chat, 'a');
  await ago(row, -3_600);
  const look = await claim(chat, 'b');
  expect(look).toMatchObject({ kind: 'busy', silent: true });
  expect(await claim(chat, 'b', look.kind === 'busy' ? look.seen : '')).toMatchObject({ kind: 'row' });
});

test('a part that waits for its next try holds the later parts of its turn, and later turns go on', async () => {
  const chat = await chatWith('a|b', 'c');
  expect(await t.store.outbox.release(await claimed(chat), 60_000, 'rate limit')).toBe(true);
  const next = await claimed(chat);
  expect(next.text).toBe('c');
  await t.store.outbox.markSent(next, {});
  // Not 0 for the part that is held: whoever sleeps until then would come back at once, again and again.
  const idle = await claim(chat, 'a');
  if (idle.kind !== 'nothing due') throw new Error('a held part was claimed');
  expect(idle.nextInMs).toBeGreaterThan(50_000);
  await t.pool.query(`update outbox set next_try_at = now() where destination = $1 and state = 'pending'`, [
    chat.destination,
  ]);
  const again = await claimed(chat);
  expect(again).toMatchObject({ text: 'a', tries: 2, wasUnknown: false });
  await t.store.outbox.markSent(again, {});
  expect(await claimed(chat)).toMatchObject({ text: 'b' });
});

test('a row whose time lies ahead blocks nobody', async () => {
  const chat = await chatWith('a|b', 'c');
  await t.pool.query(
    `update outbox set not_before = now() + interval '1 hour' where destination = $1 and body ->> 'text' = 'a'`,
    [chat.destination],
  );
  for (const text of ['b', 'c']) {
    const row = await claimed(chat);
    expect(row.text).toBe(text);
    await t.store.outbox.markSent(row, {});
  }
  const idle = await claim(chat, 'a');
  expect(idle.kind === 'nothing due' && idle.nextInMs).toBeGreaterThan(3_500_000);
});

test('a dead letter takes the rest of its turn along, and later turns go on', async () => {
  const chat = await chatWith('a|b|c', 'd');
  const elsewhere = await chatWith('another chat');
  const first = await claimed(chat);
  await t.pool.query('update outbox set turn_id = $2, id = default where destination = $1', [
    elsewhere.destination,
    first.turnId,
  ]);
  expect(await t.store.outbox.bury(first, 'failed', 'blocked')).toBe(true);
  expect(await rowsOf(chat)).toMatchObject([
    { text: 'a', state: 'failed' },
    { text: 'b', state: 'failed' },
    { text: 'c', state: 'failed' },
    { text: 'd', state: 'pending' },
  ]);
  expect(await claimed(chat)).toMatchObject({ text: 'd' });
  expect(await rowsOf(elsewhere)).toMatchObject([{ state: 'pending' }]);
});

test('a row that may have arrived is final, and the rest of its turn goes on', async () => {
  const chat = await chatWith('a|b');
  await claimed(chat, 'a', 'attempt 1');
  const second = await claimed(chat, 'a', 'attempt 2');
  expect(await t.store.outbox.bury(second, 'unknown', 'nobody can look')).toBe(true);
  expect(await claimed(chat)).toMatchObject({ text: 'b', wasUnknown: false });
});

test('a row that was ever unknown stays marked, also through a refusal', async () => {
  const chat = await chatWith('a');
  await claimed(chat, 'a', 'attempt 1');
  await t.store.outbox.release(await claimed(chat, 'a', 'attempt 2'), 0, 'rate limit');
  expect(await claimed(chat, 'b')).toMatchObject({ wasUnknown: true });
});

test('what is repeated because its answer was lost finds its own mark', async () => {
  const chat = await chatWith('a|b', 'c');
  const first = await claimed(chat);
  for (let n = 0; n < 2; n++) expect(await t.store.outbox.release(first, 0, 'rate limit')).toBe(true);
  const again = await claimed(chat);
  for (let n = 0; n < 2; n++) expect(await t.store.outbox.markSent(again, { id: 1 })).toBe(true);
  const second = await claimed(chat);
  for (let n = 0; n < 2; n++) expect(await t.store.outbox.bury(second, 'failed', 'blocked')).toBe(true);
  expect(await rowsOf(chat)).toMatchObject([{ state: 'sent' }, { state: 'failed' }, { state: 'pending' }]);
});

test('an attempt that meets its own next one at the same row does not take it for untouched', async () => {
  const chat = await chatWith('a');
  const { claim: meeting } = await meets(chat, `state = 'sending', holder = 'a', token = 'x', renewed_at = now()`);
  expect(meeting).toMatchObject({ kind: 'row', row: { wasUnknown: true } });
});

test('a row that was sent while its holder looked is not claimed again', async () => {
  const chat = await chatWith('a');
  const row = await claimed(chat, 'a', 'attempt 1');
  const { claim: meeting } = await meets(chat, `state = 'sent', sent_at = now()`);
  expect(meeting.kind).toBe('busy');
  expect(await t.store.outbox.find(row.id)).toMatchObject({ state: 'sent' });
});

test('two senders that choose different rows at the same moment: one of them waits', async () => {
  const chat = await chatWith('a', 'b');
  // As if the other sender had judged, a moment before, that the first row is not due yet.
  const { claim: meeting } = await meets(
    chat,
    `state = 'sending', holder = 'b', token = 'x', renewed_at = now()`,
    `body ->> 'text' = 'b'`,
  );
  expect(meeting).toMatchObject({ kind: 'busy' });
  expect(await rowsOf(chat)).toMatchObject([{ state: 'pending' }, { state: 'sending' }]);
});

/** Claims as holder `a` while another sender's change of a row is under way, and lets that one commit first. */
async function meets(chat: Chat, change: string, which = 'true'): Promise<{ claim: Claim }> {
  const other = await t.pool.connect();
  try {
    await other.query('begin');
    await other.query(`update outbox set ${change} where destination = $1 and ${which}`, [chat.destination]);
    const meeting = claim(chat, 'a', undefined, 'attempt 2');
    await untilBlocked(t.pool);
    await other.query('commit');
    return { claim: await meeting };
  } finally {
    other.release();
  }
}

test('a destination with a silent sender is due, one with a live sender or a row for later is not', async () => {
  const [silent, live, later, due] = await Promise.all([
    chatWith('a'),
    chatWith('a'),
    chatWith('a'),
    chatWith('a'),
  ] as const);
  await ago(await claimed(silent), 10);
  await claimed(live);
  await t.store.outbox.release(await claimed(later), 60_000, 'rate limit');
  const all = new Set(await t.store.outbox.dueDestinations(1_000));
  expect([silent, live, later, due].map(({ destination }) => all.has(destination))).toEqual([true, false, false, true]);
});

test('a notice that is inserted again stands once', async () => {
  const { claimed: turns } = await t.store.conversations.accept(
    message('hi', { chat: `chat ${++chats}`, channel: 'fake' }),
  );
  const turnId = turns[0]?.turnId ?? '';
  const first = await t.store.outbox.notice(turnId, 'outage-s1', 'The model does not answer.');
  const second = await t.store.outbox.notice(turnId, 'outage-s1', 'It still does not.');
  expect([first, second]).toMatchObject([{ fresh: true }, { destination: first?.destination, fresh: false }]);
  const { rows } = await t.pool.query(`select delivery_key, body ->> 'text' as text from outbox where turn_id = $1`, [
    turnId,
  ]);
  expect(rows).toEqual([{ delivery_key: `${turnId}/notice:outage-s1/1`, text: 'The model does not answer.' }]);
});
