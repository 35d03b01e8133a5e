// An engine that is away, and one that comes back empty: the store decides, so open turns go on and nothing recorded is done again.
import { mkdtemp, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openTemporal, stopTemporal } from '../../workers/local-stack/temporal.js';
import { type Chat, startChat } from '../support/chat.js';
import { asksFor, says } from '../support/model-server.js';
import { byMessage } from '../support/plans.js';
import { countingTools } from '../support/tools.js';

const tools = countingTools();
let home: string;
let chat: Chat;

function settings() {
  return {
    home,
    temporalNamespace: 'default',
    searchPath: process.env.PATH ?? '',
    cacheFolder: join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'durabot'),
  };
}

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'durabot-engine-'));
  const { address } = await openTemporal({ settings: settings(), say: () => {} });
  chat = await startChat({
    temporal: address,
    rebuilds: true,
    tools: tools.tools,
    script: byMessage({
      'while away': [says('The engine is back.')],
      'lost engine': [
        asksFor('put', { name: 'before' }),
        asksFor('hold', { name: 'meanwhile' }),
        says('Nothing was lost.'),
      ],
    }),
  });
});
afterAll(async () => {
  await chat.close();
  await stopTemporal(settings());
  await rm(home, { recursive: true, force: true });
});

async function waitFor(what: () => Promise<boolean>): Promise<void> {
  while (!(await what().catch(() => false))) await new Promise((resolve) => setTimeout(resolve, 50));
}

test('the Schedules of durabot itself are made on an engine that it has not seen', async () => {
  await waitFor(async () => (await chat.agent.store.installation.namespaceId()) !== null);
  const { spec, policies } = await chat.client.schedule.getHandle('durabot-sweep').describe();
  expect(spec.intervals?.[0]?.every).toBe(600_000);
  expect(policies.overlap).toBe('SKIP');
});

test('a message that comes while the engine is away is kept, and answered when it is back', async () => {
  await stopTemporal(settings());
  const { turnId, conversationId } = await chat.say('while away', { chat: 'away' });
  expect(turnId).toBe(`${conversationId}-1`);
  await openTemporal({ settings: settings(), say: () => {} });
  expect((await chat.ended(turnId ?? '')).state).toBe('answered');
  expect(await chat.transcript(conversationId)).toEqual(['person: while away', 'assistant: The engine is back.']);
});

test('open turns of a lost engine are started again from the store, and nothing recorded is done again', async () => {
  const { turnId, conversationId } = await chat.say('lost engine', { chat: 'lost' });
  await tools.begun('hold');
  const asked = chat.model.requests().length;
  await stopTemporal(settings());
  await rm(join(home, 'data', 'temporal'), { recursive: true, force: true });
  await openTemporal({ settings: settings(), say: () => {} });
  tools.release();
  await tools.begun('hold', 2); // `put` again on the new run: its row is taken over under the same key
  tools.release();
  expect((await chat.ended(turnId ?? '')).state).toBe('answered');
  expect(await chat.transcript(conversationId)).toEqual([
    'person: lost engine',
    'assistant: s1.c1',
    'tool: put of before is done',
    'assistant: s2.c1',
    'tool: hold of meanwhile is done',
    'assistant: Nothing was lost.',
  ]);
  expect(tools.done.filter((entry) => entry === 'put before')).toHaveLength(1);
  expect(chat.model.requests().length - asked).toBe(1);
  const { spec } = await chat.client.schedule.getHandle('durabot-sweep').describe();
  expect(spec.intervals).toHaveLength(1);
});
