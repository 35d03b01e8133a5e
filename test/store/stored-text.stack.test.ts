// Text that PostgreSQL refuses is met everywhere: binary output of a command, an answer cut inside an emoji, a message from a client
// with a bug. Refused once it would be refused for ever, and the platform would deliver that message again and again.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { attemptOf, call, message, openTestStore, reply, type TestStore } from '../support/store.js';

let t: TestStore;

beforeAll(async () => {
  t = await openTestStore();
});
afterAll(() => t.close());

const odd = 'nul \0, half \ud83d.';
const kept = 'nul \ufffd, half \ufffd.';

test('text that PostgreSQL refuses passes through a whole turn', async () => {
  const accepted = await t.store.conversations.accept(message(odd, { channel: 'fake', sender: odd }));
  const turn = accepted.claimed[0];
  if (!turn) throw new Error('no turn was claimed');
  const attempt = attemptOf(turn.owner);
  await t.store.transcript.openStep({ turnId: turn.turnId, step: 1, attempt });
  const brief = { task: odd, label: odd, settings: {}, limits: {}, wait: true };
  await t.store.transcript.recordStep(
    reply(turn.turnId, 1, attempt, {
      text: odd,
      providerBlock: { thinking: odd },
      calls: [
        call('s1.c1', 'exec', { arguments: { [odd]: odd }, written: odd, summary: odd }),
        call('s1.c2', 'no', { refusal: odd }),
        call('s1.c3', 'spawn', { brief }),
      ],
    }),
  );
  const ref = { turnId: turn.turnId, callId: 's1.c1' };
  const holder = attemptOf(turn.owner);
  await t.store.effects.intend(ref, holder, 'h1');
  await t.store.effects.remember(ref, holder.token, { odd });
  await t.store.effects.finish(ref, holder.token, { outcome: 'done', text: odd, whole: odd, tainted: true });
  expect(await t.store.effects.result(turn.conversationId, `result:${turn.turnId}/s1.c1`)).toBe(kept);

  const [child] = (await t.store.turns.open()).filter(({ kind }) => kind === 'subagent');
  if (!child) throw new Error('no child was planned');
  const childs = attemptOf(child.owner);
  await t.store.transcript.openStep({ turnId: child.turnId, step: 1, attempt: childs });
  await t.store.transcript.recordStep(reply(child.turnId, 1, childs, { text: odd }));

  const last = attemptOf(turn.owner);
  await t.store.transcript.openStep({ turnId: turn.turnId, step: 2, attempt: last });
  await t.store.transcript.recordStep(reply(turn.turnId, 2, last, { text: odd }));
  const texts = (
    await t.store.transcript.entries({ conversationId: turn.conversationId, turnId: turn.turnId, maxTokens: 1e9 })
  ).flatMap(({ parts }) => parts.map((part) => (part.kind === 'call' ? part.arguments : part.text)));
  expect(texts).toEqual([kept, kept, kept, '{}', '{}', kept, kept, kept, kept]);

  const { addressId } = (await t.store.turns.find(turn.turnId)) ?? {};
  const claim = await t.store.outbox.claim({ destination: addressId ?? '', holder: 'a', token: 'a' });
  expect(claim).toMatchObject({ kind: 'row', row: { text: kept } });
  if (claim.kind === 'row') expect(await t.store.outbox.release(claim.row, 0, odd)).toBe(true);
});
