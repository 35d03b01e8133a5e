// Subagents: child workflows on the same loop, whose results reach the parent exactly once.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { spawnTool } from '../../activities/tools/spawn.js';
import type { Tool } from '../../activities/tools/tool.js';
import { type Chat, startChat } from '../support/chat.js';
import { asksFor, type ChatRequest, says, together } from '../support/model-server.js';
import { byMessage } from '../support/plans.js';
import { countingTools } from '../support/tools.js';

const tools = countingTools();
let chat: Chat;
let chats = 0;

const spawn = (task: string, changes: object = {}) => asksFor('spawn', { task, wait: true, ...changes });
const offered = ({ tools: list }: ChatRequest) => (list ?? []).map((tool) => tool.function.name);

beforeAll(async () => {
  chat = await startChat({
    tools: [...tools.tools, spawnTool as Tool],
    script: byMessage({
      'two at once': [
        together(spawn('count apples', { label: 'apples' }), spawn('count pears')),
        says('Both are counted.'),
      ],
      'count apples': [asksFor('put', { name: 'apples' }), says('Seven apples.')],
      'count pears': [says('Five pears.')],
      'in the background': [spawn('dig slowly', { wait: false, label: 'digger' }), says('It is under way.')],
      'dig slowly': [asksFor('hold', { name: 'dig' }), says('Dug to the end.')],
      'Dug to the end': [says('The digger has finished.')],
      'go deep': [spawn('level one'), says('Deep enough.')],
      'level one': [spawn('level two', { wait: false }), says('Level one done.')],
      'level two': (request) => says(`Offered: ${offered(request).includes('spawn') ? 'spawn' : 'no spawn'}.`),
      'stop them': [spawn('work for ever'), says('never said')],
      'work for ever': [asksFor('hold', { name: 'for ever' }), says('never said')],
      'stop the digger': [spawn('dig in vain', { wait: false }), says('Started.')],
      'dig in vain': [asksFor('hold', { name: 'in vain' }), says('never said')],
      'only look': [spawn('try to mail', { tools: ['look'] }), says('It could not.')],
      'try to mail': (request) => says(`Offered: ${offered(request).join(', ')}.`),
      'a long story': [spawn('tell a long story'), says('Long.')],
      'tell a long story': [says('once upon a time '.repeat(1_000))],
      'five of them': [together(...[1, 2, 3, 4, 5].map((n) => spawn(`wait here ${n}`))), says('All five are back.')],
      'wait here': [asksFor('hold', { name: 'here' }), says('Waited.')],
    }),
  });
});
afterAll(() => chat.close());

async function say(text: string) {
  const accepted = await chat.say(text, { chat: `chat ${++chats}` });
  return { ...accepted, turnId: accepted.turnId ?? '', place: `chat ${chats}` };
}

async function children(turnId: string): Promise<{ id: string; state: string; owner: string; conversation: string }[]> {
  const { rows } = await chat.test.pool.query(
    `select id, state, owner, conversation_id as conversation from turn where parent_turn_id = $1 order by parent_call_id`,
    [turnId],
  );
  return rows;
}

test('several subagents work at once, and their results stand in the order of the calls', async () => {
  const { turnId, conversationId } = await say('two at once');
  await chat.ended(turnId);
  const said = await chat.transcript(conversationId);
  expect(said[0]).toBe('person: two at once');
  expect(said.slice(2, 4).sort()).toEqual(['tool: Five pears.', 'tool: Seven apples.']);
  expect(said.at(-1)).toBe('assistant: Both are counted.');
  const kin = await children(turnId);
  expect(kin.map(({ state, owner }) => ({ state, owner }))).toEqual([
    { state: 'answered', owner: `turn/${conversationId}/1/sub/s1.c1` },
    { state: 'answered', owner: `turn/${conversationId}/1/sub/s1.c2` },
  ]);
  expect(await chat.transcript(kin[0]?.conversation ?? '')).toEqual([
    'person: count apples',
    'assistant: s1.c1',
    'tool: put of apples is done',
    'assistant: Seven apples.',
  ]);
  const parent = await (await chat.run(turnId)).describe();
  const child = await chat.client.workflow.getHandle(kin[0]?.owner ?? '').describe();
  expect(child.parentExecution?.workflowId).toBe(parent.workflowId);
});

test('a subagent in the background answers later, in a turn that its result opens', async () => {
  const { turnId, conversationId } = await say('in the background');
  expect((await chat.ended(turnId)).state).toBe('answered');
  await tools.begun('hold');
  tools.release();
  const second = await chat.ended(`${conversationId}-2`);
  expect(second.state).toBe('answered');
  expect(await chat.transcript(conversationId)).toEqual([
    'person: in the background',
    'assistant: s1.c1',
    'tool: Started in the background. Its result will arrive here by itself as a message.',
    'assistant: It is under way.',
    'note: Dug to the end.',
    'assistant: The digger has finished.',
  ]);
});

test('inside a subagent every spawn is waited for, and the deepest can spawn nothing', async () => {
  const { turnId, conversationId } = await say('go deep');
  await chat.ended(turnId);
  expect(await chat.transcript(conversationId)).toContain('tool: Level one done.');
  const [one] = await children(turnId);
  expect(await chat.transcript(one?.conversation ?? '')).toEqual([
    'person: level one',
    'assistant: s1.c1',
    'tool: Offered: no spawn.',
    'assistant: Level one done.',
  ]);
});

test('a stop reaches the subagents, and none of them acts afterwards', async () => {
  const { turnId, conversationId, place } = await say('stop them');
  await tools.begun('hold', 2);
  const stop = await chat.say('/stop', { chat: place, command: 'stop' });
  expect(stop.acted?.stopped).toHaveLength(2);
  expect((await chat.ended(turnId)).state).toBe('stopped');
  const [child] = await children(turnId);
  expect((await chat.ended(child?.id ?? '')).state).toBe('stopped');
  expect(tools.done).not.toContain('hold for ever');
  const results = (await chat.transcript(conversationId)).filter((line) => line.startsWith('tool: '));
  expect(results).toHaveLength(1);
});

test('a stop reaches a subagent in the background, and its result opens no turn', async () => {
  const { turnId, conversationId, place } = await say('stop the digger');
  await chat.ended(turnId);
  await tools.begun('hold', 3);
  const stop = await chat.say('/stop', { chat: place, command: 'stop' });
  expect(stop.acted?.reply).toBe('Stopped 1.');
  const [child] = await children(turnId);
  expect((await chat.ended(child?.id ?? '')).state).toBe('stopped');
  const { rows } = await chat.test.pool.query(
    `select kind, turn_id from inbox where conversation_id = $1 and channel = 'subagent'`,
    [conversationId],
  );
  expect(rows).toEqual([{ kind: 'note', turn_id: null }]);
  expect(await chat.agent.store.turns.find(`${conversationId}-2`)).toBeNull();
});

test('a subagent has only the tools that its brief names', async () => {
  const { turnId, conversationId } = await say('only look');
  await chat.ended(turnId);
  expect(await chat.transcript(conversationId)).toContain('tool: Offered: look.');
});

test('a long result is kept whole, and the parent gets its beginning and a handle', async () => {
  const { turnId, conversationId } = await say('a long story');
  await chat.ended(turnId);
  const result = (await chat.transcript(conversationId)).find((line) => line.startsWith('tool: ')) ?? '';
  expect(Buffer.byteLength(result)).toBeLessThan(4_200);
  expect(result).toContain(`(the whole result: result:${turnId}/s1.c1)`);
  const whole = await chat.agent.store.effects.result(conversationId, `result:${turnId}/s1.c1`);
  expect(whole?.length).toBe('once upon a time '.length * 1_000);
});

test('a fifth subagent waits until one of four has ended', async () => {
  const { turnId } = await say('five of them');
  await tools.begun('hold', 7);
  const states = (await children(turnId)).map((child) => child.state).sort();
  expect(states).toEqual(['claimed', 'running', 'running', 'running', 'running']);
  tools.release();
  await tools.begun('hold', 8);
  tools.release();
  expect((await chat.ended(turnId)).state).toBe('answered');
});
