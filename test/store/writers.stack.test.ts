// Sixteen writers at once, a fifth of their messages delivered again and in another order, while the turns they open are answered: what
// each transaction promises alone must hold when they meet. Any error of the database, a deadlock first of all, fails the test.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Accepted, Incoming } from '../../store/conversations.js';
import { createStore, type Store } from '../../store/index.js';
import { openPool, type Pool } from '../../store/pool.js';
import type { ClaimedTurn } from '../../store/rows.js';
import { attemptOf, call, message, openTestStore, reply, type TestStore } from '../support/store.js';

const writers = 16;
const each = 15;
const chats = 5;

let t: TestStore;
let runnersPool: Pool;
let runners: Store;

beforeAll(async () => {
  t = await openTestStore();
  runnersPool = openPool({ databaseUrl: t.databaseUrl, max: 16 });
  runners = createStore({ ...t.deps, pool: runnersPool });
});
afterAll(async () => {
  await runnersPool.end();
  await t.close();
});

/** Runs each claimed turn once, however often it is handed over. */
function createRuns() {
  const runs = new Map<string, Promise<void>>();
  /** The turn of each conversation that has opened and not yet begun to close. */
  const active = new Map<string, string>();

  function start(turns: readonly ClaimedTurn[]): void {
    for (const turn of turns) if (!runs.has(turn.owner)) runs.set(turn.owner, run(turn));
  }

  async function run(turn: ClaimedTurn): Promise<void> {
    const { turnId, conversationId } = turn;
    const first = await open(turn, 1);
    const calls = [call('s1.c1', 'write'), call('s1.c2', 'look', { effect: 'read' })];
    await runners.transcript.recordStep(reply(turnId, 1, first, { calls }));
    for (const { callId } of calls) {
      const attempt = attemptOf(turn.owner);
      const intent = await runners.effects.intend({ turnId, callId }, attempt, 'h1');
      if (intent.kind === 'go')
        await runners.effects.finish({ turnId, callId }, attempt.token, { outcome: 'done', text: 'ok', tainted: true });
    }
    const second = await open(turn, 2);
    const entries = await runners.transcript.entries({ conversationId, turnId, maxTokens: 1e9 });
    const heard = entries.flatMap((entry) =>
      entry.turnId === turnId && entry.role === 'person'
        ? entry.parts.map((part) => ('text' in part ? part.text : ''))
        : [],
    );
    active.delete(conversationId);
    start((await runners.transcript.recordStep(reply(turnId, 2, second, { text: heard.join() }))).claimed);
  }

  async function open({ turnId, owner, conversationId }: ClaimedTurn, step: number) {
    const attempt = attemptOf(owner);
    const opened = await runners.transcript.openStep({ turnId, step, attempt });
    if (opened.kind !== 'open') throw new Error(`${turnId} did not open: ${JSON.stringify(opened)}`);
    expect([undefined, turnId]).toContain(active.get(conversationId));
    active.set(conversationId, turnId);
    return attempt;
  }

  async function allDone(): Promise<void> {
    for (let seen = -1; seen < runs.size; ) {
      seen = runs.size;
      await Promise.all(runs.values());
    }
  }

  return { start, allDone };
}

function textOf(writer: number, n: number): string {
  return `w${writer}m${n}`;
}

function messagesOf(writer: number): Incoming[] {
  return Array.from({ length: each }, (_, n) =>
    message(textOf(writer, n), {
      ...{ channel: 'fake', chat: `chat ${writer % chats}`, externalId: textOf(writer, n) },
      externalUserId: `person ${writer % 3}`,
    }),
  );
}

test('every message of sixteen writers is answered once, in order, without a deadlock', async () => {
  const runs = createRuns();
  const positions = new Map<string, Accepted>();
  let redelivered = 0;
  await Promise.all(
    Array.from({ length: writers }, async (_, writer) => {
      const late: Incoming[] = [];
      for (const [n, incoming] of messagesOf(writer).entries()) {
        const accepted = await t.store.conversations.accept(incoming);
        positions.set(incoming.text, accepted);
        runs.start(accepted.claimed);
        if (n % 5 === writer % 5) late.unshift(incoming); // the last ones come first
        if (n % 7 !== 6 && n !== each - 1) continue;
        for (const again of late.splice(0)) {
          const second = await t.store.conversations.accept(again);
          expect(second).toMatchObject({ redelivered: true, inboxId: positions.get(again.text)?.inboxId });
          runs.start(second.claimed);
          redelivered++;
        }
      }
    }),
  );
  await runs.allDone();
  expect(redelivered).toBe((writers * each) / 5);

  const { rows } = await t.pool.query<{
    text: string;
    turn: string;
    conversation: string;
    seq: number;
    writer: string;
  }>(
    `select i.external_id as text, t.id as turn, i.conversation_id as conversation, t.seq, split_part(i.external_id, 'm', 1) as writer
      from inbox i left join turn t on t.id = i.turn_id and t.state = 'answered' order by i.conversation_id, i.position`,
  );
  const expected = Array.from({ length: writers }, (_, writer) => messagesOf(writer).map(({ text }) => text)).flat();
  expect(rows.map(({ text }) => text).sort()).toEqual(expected.sort());
  expect(rows.filter(({ turn }) => !turn)).toEqual([]);

  // The transcript: the accepted messages of each person in accepted order, each turn's followed by its calls and its answer.
  const entries = await t.pool.query<{ turn: string; role: string; text: string | null }>(
    `select turn_id as turn, role, parts #>> '{0,text}' as text from entry order by conversation_id, id`,
  );
  const transcript: Record<string, string[]> = {};
  for (const { turn, role, text } of entries.rows) {
    transcript[turn] ??= [];
    transcript[turn].push(role === 'assistant' && text ? `answer ${text}` : role === 'person' ? String(text) : role);
  }
  const turns = [...new Set(rows.map(({ turn }) => turn))];
  expect(Object.keys(transcript).sort()).toEqual([...turns].sort());
  for (const turn of turns) {
    const own = rows.filter((row) => row.turn === turn).map(({ text }) => text);
    const heard = transcript[turn]?.filter((line) => own.includes(line)) ?? [];
    expect(heard).toEqual(own);
    expect(transcript[turn]?.at(-1)).toBe(`answer ${heard.join()}`);
    expect(transcript[turn]?.filter((line) => line === 'tool')).toHaveLength(2);
    expect(transcript[turn]?.[0]).toBe(own[0]);
  }
  for (let writer = 0; writer < writers; writer++) {
    const ofWriter = rows.filter((row) => row.writer === `w${writer}`);
    expect(ofWriter.map(({ text }) => text)).toEqual(messagesOf(writer).map(({ text }) => text));
    expect(ofWriter.map(({ seq }) => seq)).toEqual(ofWriter.map(({ seq }) => seq).sort((a, b) => a - b));
  }
});
