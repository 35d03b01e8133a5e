import { afterEach, expect, test } from '@jest/globals';
import { z } from 'zod';
import { defineTool, success, type Tool } from '../../activities/tools/tool.js';
import { type Chat, type ChatOptions, startChat } from '../support/chat.js';
import { asksFor, says } from '../support/model-server.js';

let chat: Chat | undefined;

async function start(options: ChatOptions): Promise<Chat> {
  chat = await startChat(options);
  return chat;
}

afterEach(async () => {
  await chat?.close();
  chat = undefined;
});

const look: Tool<{ name: string }> = defineTool({
  name: 'look',
  description: 'Looks a thing up.',
  input: z.object({ name: z.string() }),
  effect: 'read',
  local: true,
  defaultPolicy: 'allow',
  timeoutMs: 5_000,
  summary: ({ name }) => `look ${name}`,
  run: async ({ name }) => success(`${name} was seen`),
});

test('a question is answered, and its run can be read in the engine', async () => {
  const { say, ended, transcript, run } = await start({ script: [says('Good morning.')] });
  const { turnId, conversationId } = await say('Hello');
  expect(await ended(turnId ?? '')).toMatchObject({ state: 'answered' });
  expect(await transcript(conversationId)).toEqual(['person: Hello', 'assistant: Good morning.']);
  const handle = await run(turnId ?? '');
  expect(await handle.result()).toBe('answered');
  const { searchAttributes } = await handle.describe();
  expect(searchAttributes).toMatchObject({
    durabotConversation: [conversationId],
    durabotOutcome: ['answered'],
    durabotChannel: ['terminal'],
  });
});

test('calls run, their results reach the model, and the turn ends with its answer', async () => {
  const { say, ended, transcript, model } = await start({
    tools: [look],
    script: [asksFor('look', { name: 'milk' }), says('Milk was seen.')],
  });
  const { turnId, conversationId } = await say('Is there milk?');
  await ended(turnId ?? '');
  expect(await transcript(conversationId)).toEqual([
    'person: Is there milk?',
    'assistant: s1.c1',
    'tool: milk was seen',
    'assistant: Milk was seen.',
  ]);
  expect(model.requests()).toHaveLength(2);
  expect(model.unused()).toEqual([]);
});

test('a message delivered twice is answered once', async () => {
  const { say, ended, transcript, model } = await start({ script: [says('Once.')] });
  const first = await say('Hello', { externalId: 'm1' });
  const second = await say('Hello', { externalId: 'm1' });
  expect(second.turnId).toBe(first.turnId);
  await ended(first.turnId ?? '');
  expect(await transcript(first.conversationId)).toEqual(['person: Hello', 'assistant: Once.']);
  expect(model.requests()).toHaveLength(1);
});
