// Replies on their way to a platform, with a real engine: in order, once where the platform lets us look, marked where it does not.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Chat, startChat } from '../../support/chat.js';
import { says } from '../../support/model-server.js';
import { byMessage } from '../../support/plans.js';
import { type Platform, platformChannel, startPlatform } from '../../support/platform.js';
import { message } from '../../support/store.js';

let chat: Chat;
let platform: Platform;
let chats = 0;

beforeAll(async () => {
  platform = await startPlatform();
  chat = await startChat({
    channels: [
      platformChannel(platform.url),
      platformChannel(platform.url, { name: 'blind', canLook: false }),
      platformChannel(platform.url, { name: 'silent', canLook: false, whenUnknown: 'prefer silence' }),
    ],
    store: { split: (_channel, text) => text.split('|') },
    script: byMessage({ one: [says('One part.')], three: [says('first|second|third')] }),
  });
});
afterAll(async () => {
  await chat.close();
  await platform.close();
});

async function ask(text: string, channel = 'fake') {
  const place = `chat ${++chats}`;
  const { turnId } = await chat.say(text, { chat: place, channel, externalUserId: 'somebody' });
  await chat.ended(turnId ?? '');
  return { place, turnId: turnId ?? '' };
}

async function outbox(turnId: string): Promise<object[]> {
  const { rows } = await chat.test.pool.query(
    'select part, state, flagged from outbox where turn_id = $1 order by part',
    [turnId],
  );
  return rows;
}

async function delivered(place: string, count: number): Promise<string[]> {
  return (await platform.waitFor(place, count)).map(({ text, repeat }) => (repeat ? `(repeat) ${text}` : text));
}

test('a reply goes out to the address of its question', async () => {
  const { place, turnId } = await ask('one');
  expect(await delivered(place, 1)).toEqual(['One part.']);
  expect(await (await chat.run(turnId)).result()).toBe('answered');
  expect(await outbox(turnId)).toEqual([{ part: 1, state: 'sent', flagged: false }]);
});

test('the parts of a reply go out in order, also when one is refused for a while', async () => {
  platform.next('take', 'refuse for now');
  const { place } = await ask('three');
  expect(await delivered(place, 3)).toEqual(['first', 'second', 'third']);
});

test('an answer of the platform that was lost is looked up, and nothing is sent twice', async () => {
  platform.next('take', 'lose the answer');
  const { place, turnId } = await ask('three');
  expect(await delivered(place, 3)).toEqual(['first', 'second', 'third']);
  await (await chat.run(turnId)).result();
  expect(platform.visible(place)).toHaveLength(3);
});

test('what was cut off before the platform took it is sent once', async () => {
  platform.next('drop before taking');
  const { place, turnId } = await ask('one');
  expect(await delivered(place, 1)).toEqual(['One part.']);
  await (await chat.run(turnId)).result();
  expect(platform.visible(place)).toHaveLength(1);
});

test('where nobody can look, a reply that may have arrived is sent again with a mark', async () => {
  platform.next('lose the answer');
  const { place, turnId } = await ask('one', 'blind');
  expect(await delivered(place, 2)).toEqual(['One part.', '(repeat) One part.']);
  await (await chat.run(turnId)).result();
  expect(await outbox(turnId)).toEqual([{ part: 1, state: 'sent', flagged: true }]);
});

test('a channel that prefers silence does not send again what may have arrived', async () => {
  platform.next('lose the answer');
  const { place, turnId } = await ask('one', 'silent');
  await (await chat.run(turnId)).result();
  expect(platform.visible(place)).toHaveLength(1);
  expect(await outbox(turnId)).toEqual([{ part: 1, state: 'unknown', flagged: false }]);
});

test('a chat that is gone sends the rest of the reply to the dead letters, and later replies go on', async () => {
  platform.next('refuse for good');
  const place = `chat ${++chats}`;
  const first = await chat.say('three', { chat: place, channel: 'fake', externalUserId: 'somebody' });
  await chat.ended(first.turnId ?? '');
  await (await chat.run(first.turnId ?? '')).result();
  expect(await outbox(first.turnId ?? '')).toEqual(
    [1, 2, 3].map((part) => ({ part, state: 'failed', flagged: false })),
  );
  const second = await chat.say('one', { chat: place, channel: 'fake', externalUserId: 'somebody' });
  await chat.ended(second.turnId ?? '');
  expect(await delivered(place, 1)).toEqual(['One part.']);
});

test('rows that no turn sends go out by their own run, which ends when nothing is due', async () => {
  const { place, turnId } = await ask('one');
  await (await chat.run(turnId)).result();
  const notice = await chat.agent.store.outbox.notice(turnId, 'outage-s1', 'The model does not answer.');
  await chat.agent.engine.wakeDelivery(notice?.destination ?? '');
  expect(await delivered(place, 2)).toEqual(['One part.', 'The model does not answer.']);
  await chat.client.workflow.getHandle(`delivery/${notice?.destination}`).result();
});

test('a sweep finds rows that are due and sends them', async () => {
  const { place, turnId } = await ask('one');
  await (await chat.run(turnId)).result();
  await chat.agent.store.outbox.notice(turnId, 'later', 'Found by the sweep.');
  await chat.agent.sweep();
  expect(await delivered(place, 2)).toEqual(['One part.', 'Found by the sweep.']);
});

test('the answer to a command goes out although no turn sends it', async () => {
  const place = `chat ${++chats}`;
  const stop = { chat: place, channel: 'fake', externalUserId: 'somebody', command: 'stop' } as const;
  await chat.say('/stop', stop);
  expect(await delivered(place, 1)).toEqual(['Nothing is running.']);
});

test('a command that is delivered again tells where its answer waits', async () => {
  const stop = { ...message('/stop'), chat: `chat ${++chats}`, channel: 'fake', externalUserId: 'somebody' };
  const { accept } = chat.agent.store.conversations;
  const first = await accept({ ...stop, command: 'stop' });
  const again = await accept({ ...stop, command: 'stop' });
  expect(again.redelivered).toBe(true);
  expect(again.replyAt).toBe(first.replyAt);
  expect((await accept({ ...message('/stop'), command: 'stop' })).replyAt).toBeNull(); // the terminal shows what stands there
});
