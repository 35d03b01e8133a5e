// Turns as a person meets them: a real engine, a real store, a scripted model behind HTTP.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Chat, startChat } from '../support/chat.js';
import { asksFor, failsWith, says, together } from '../support/model-server.js';
import { byMessage } from '../support/plans.js';
import { countingTools } from '../support/tools.js';

const tools = countingTools();
let outages = 0;
let outageTries = 0;
let endOutage = () => {};
const longOutage = new Promise<void>((resolve) => {
  endOutage = resolve;
});
let chat: Chat;
let chats = 0;

beforeAll(async () => {
  chat = await startChat({
    tools: tools.tools,
    script: byMessage({
      greet: [says('Good morning.')],
      'one of each': [
        together(asksFor('look', { name: 'a' }), asksFor('fetch', { name: 'b' }), asksFor('put', { name: 'c' })),
        asksFor('mail', { name: 'd' }),
        says('All four are done.'),
      ],
      steer: [asksFor('hold', { name: 'x' }), says('Both messages are read.')],
      'stop the tool': [asksFor('hold', { name: 'stopped' }), says('never said')],
      'stop the stream': [says(['It ', 'begins ', 'and ', 'never ', 'ends.'], { heldAfter: 2 })],
      'ask first': [asksFor('forbidden', { name: 'x' }), says('It was not run.')],
      'what is that': [asksFor('looks', { name: 'x' }), says('There is no such tool.')],
      'bad arguments': [asksFor('look', { nam: 'x' }), says('I gave the wrong argument.')],
      'too much': [asksFor('large', { name: 'word' }), says('That was long.')],
      'broken disk': [asksFor('broken', { name: 'x' }), says('It does not work.')],
      'key rejected': [failsWith(401)],
      'again and again': ({ messages, tools: offered }) =>
        offered?.length
          ? asksFor('look', { name: 'the same' })
          : says(`Gave up after ${messages.filter((message) => message.role === 'tool').length} calls.`),
      'long outage': () => {
        outageTries++;
        if (outageTries === 4) endOutage();
        return outageTries < 5 ? failsWith(503, { headers: { 'retry-after-ms': '100' } }) : says('Here again.');
      },
      'out of order': () =>
        outages++ < 2 ? failsWith(503, { headers: { 'retry-after-ms': '100' } }) : says('Back again.'),
    }),
  });
});
afterAll(() => chat.close());

async function ask(text: string) {
  const { turnId, conversationId } = await chat.say(text, { chat: `chat ${++chats}` });
  const turn = await chat.ended(turnId ?? '');
  return { turn, conversationId, turnId: turnId ?? '', said: await chat.transcript(conversationId) };
}

test('a question is answered, and its run can be read in the engine', async () => {
  const { turn, said, turnId, conversationId } = await ask('greet me');
  expect(turn.state).toBe('answered');
  expect(said).toEqual(['person: greet me', 'assistant: Good morning.']);
  const handle = await chat.run(turnId);
  expect(await handle.result()).toBe('answered');
  const { searchAttributes, staticSummary } = await handle.describe();
  expect(searchAttributes).toMatchObject({
    durabotConversation: [conversationId],
    durabotOutcome: ['answered'],
    durabotChannel: ['terminal'],
  });
  expect(await staticSummary()).toBe(`terminal, conversation ${conversationId}`);
});

test('calls of every class run once, and their results stand in the order of the calls', async () => {
  const { said, turnId } = await ask('one of each');
  expect(said).toEqual([
    'person: one of each',
    'assistant: s1.c1 s1.c2 s1.c3',
    expect.stringMatching(/^tool: (look|fetch)/),
    expect.stringMatching(/^tool: (look|fetch)/),
    'tool: put of c is done',
    'assistant: s2.c1',
    'tool: mail of d is done',
    'assistant: All four are done.',
  ]);
  expect(tools.done.filter((entry) => /^(look a|fetch b|put c|mail d)$/.test(entry)).sort()).toEqual([
    'fetch b',
    'look a',
    'mail d',
    'put c',
  ]);
  const shown = chat.model
    .requests()
    .findLast(({ body }) => body.messages.some((message) => message.content?.includes('one of each')));
  const results = shown?.body.messages.filter((message) => message.role === 'tool').map((message) => message.content);
  expect(results).toEqual(['look of a is done', 'fetch of b is done', 'put of c is done', 'mail of d is done']);
  const { events } = await (await chat.run(turnId)).fetchHistory();
  const summaries = (events ?? []).map((event) => event.userMetadata?.summary?.data?.toString()).filter(Boolean);
  expect(summaries).toEqual(expect.arrayContaining(['"scripted-1, step 1"', '"fetch b"', '"put c"', '"mail d"']));
  expect(JSON.stringify(events)).not.toContain(Buffer.from('one of each').toString('base64').slice(0, 12));
});

test('a message in the middle of a turn reaches the model at the next step', async () => {
  const place = `chat ${++chats}`;
  const first = await chat.say('steer here', { chat: place });
  await tools.begun('hold');
  const second = await chat.say('and this, too', { chat: place });
  expect(second).toMatchObject({ turnId: null, claimed: [] });
  tools.release();
  await chat.ended(first.turnId ?? '');
  expect(await chat.transcript(first.conversationId)).toEqual([
    'person: steer here',
    'assistant: s1.c1',
    'tool: hold of x is done',
    'person: and this, too',
    'assistant: Both messages are read.',
  ]);
});

test('a stop ends a running tool, and nothing happens afterwards', async () => {
  const place = `chat ${++chats}`;
  const { turnId, conversationId } = await chat.say('stop the tool', { chat: place });
  await tools.begun('hold', 2);
  const stop = await chat.say('/stop', { chat: place, command: 'stop' });
  expect(stop.acted?.reply).toBe('Stopped 1.');
  expect((await chat.ended(turnId ?? '')).state).toBe('stopped');
  expect(await (await chat.run(turnId ?? '')).result()).toBe('stopped');
  expect(tools.done).not.toContain('hold stopped');
  expect(await chat.transcript(conversationId)).toEqual([
    'person: stop the tool',
    'assistant: s1.c1',
    expect.stringMatching(/^tool: Error: this call was interrupted/),
    'notice: stopped.',
  ]);
});

test('a stop ends a stream, and the half answer is not kept as one', async () => {
  const place = `chat ${++chats}`;
  const { turnId, conversationId } = await chat.say('stop the stream', { chat: place });
  await new Promise<void>((resolve) => {
    const off = chat.agent.listener.on('delta', (delta) => {
      if (delta.turn !== turnId) return;
      off();
      resolve();
    });
  });
  await chat.say('/stop', { chat: place, command: 'stop' });
  expect((await chat.ended(turnId ?? '')).state).toBe('stopped');
  expect(await chat.transcript(conversationId)).toEqual(['person: stop the stream', 'notice: stopped.']);
});

test('a call that needs approval is answered with the rule that would allow it', async () => {
  const { said } = await ask('ask first');
  expect(said[2]).toMatch(
    /^tool: Error: forbidden needs the person's approval .* "tool": "forbidden", "decision": "allow"/,
  );
  expect(tools.done).not.toContain('forbidden x');
});

test.each([
  ['what is that', /^tool: Error: there is no tool "looks". Nearest: look/],
  ['bad arguments', /^tool: Error: the arguments of look do not fit\. .*name/],
])('a call that cannot run is answered so that the model can mend it: %s', async (text, result) => {
  const { said, turn } = await ask(text);
  expect(said[2]).toMatch(result);
  expect(turn.state).toBe('answered');
});

test('a large result is kept whole and shown by head, tail and handle', async () => {
  const { said, turnId, conversationId } = await ask('too much');
  const shown = said[2] ?? '';
  expect(shown.length).toBeLessThan(17_000);
  expect(shown).toContain(`result:${turnId}/s1.c1`);
  expect(await chat.agent.store.effects.result(conversationId, `result:${turnId}/s1.c1`)).toBe('word '.repeat(20_000));
});

test('a tool that fails again and again never ends the turn', async () => {
  const { said, turn } = await ask('broken disk');
  expect(said[2]).toMatch(/^tool: Error: broken/);
  expect(turn.state).toBe('answered');
});

test('a rejected key closes the turn with its reason, and the chat goes on', async () => {
  const { turn, said, turnId } = await ask('key rejected');
  expect(turn).toMatchObject({ state: 'failed', reason: 'ModelKeyRejected' });
  expect(said).toEqual(['person: key rejected', 'notice: failed.']);
  expect(await (await chat.run(turnId)).result()).toBe('failed');
});

test('a provider that comes back answers the turn that waited', async () => {
  const { said } = await ask('out of order');
  expect(said).toEqual(['person: out of order', 'assistant: Back again.']);
  expect(outages).toBe(3);
});

test('the same call with the same result is warned of, then refused, and at last a limit', async () => {
  const { turn, said } = await ask('again and again');
  expect(turn.state).toBe('limit');
  const results = said.filter((line) => line.startsWith('tool: '));
  expect(results.slice(0, 4)).toEqual([
    'tool: look of the same is done',
    'tool: look of the same is done',
    expect.stringContaining('[This call has now returned the same result three times.'),
    expect.stringContaining('Error: not run: this very call has returned the same result three times.'),
  ]);
  expect(tools.done.filter((entry) => entry === 'look the same')).toHaveLength(3);
  expect(said.at(-1)).toBe('assistant: Gave up after 6 calls.');
});

test('a provider that does not answer for five minutes is told of once, and the turn still waits for it', async () => {
  const { turnId, conversationId } = await chat.say('long outage', { chat: `chat ${++chats}` });
  await chat.model.waitForRequest(chat.model.requests().length + 1);
  // The clock is the database's: five minutes pass there.
  await chat.test.pool.query(`update turn set outage_since = now() - interval '6 minutes' where id = $1`, [turnId]);
  await longOutage;
  expect((await chat.ended(turnId ?? '')).state).toBe('answered');
  expect(await chat.transcript(conversationId)).toEqual([
    'person: long outage',
    'notice: The model does not answer.',
    'assistant: Here again.',
  ]);
});
