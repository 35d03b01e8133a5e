// Records the shapes of runs that later code must be able to replay:
// when a workflow ships or changes on purpose, record under a new name and keep the old files.
//   node test/support/run-typescript.mjs test/workflows/record-histories.ts [name …]     (with the test stack's variables set)
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { spawnTool } from '../../activities/tools/spawn.js';
import type { Tool } from '../../activities/tools/tool.js';
import { type Chat, startChat } from '../support/chat.js';
import { asksFor, failsWith, says, together } from '../support/model-server.js';
import { byMessage } from '../support/plans.js';
import { platformChannel, startPlatform } from '../support/platform.js';
import { countingTools } from '../support/tools.js';

const tools = countingTools();
const folder = join(import.meta.dirname, '../histories');
const spawn = (task: string, wait: boolean) => asksFor('spawn', { task, wait });

const script = byMessage({
  'no tool': [says('Hello.')],
  'one of each class': [
    together(asksFor('look', { name: 'a' }), asksFor('fetch', { name: 'b' })),
    together(asksFor('put', { name: 'c' }), asksFor('mail', { name: 'd' })),
    says('Done.'),
  ],
  'many calls': [...Array.from({ length: 20 }, (_, n) => asksFor('put', { name: `n${n}` })), says('Done.')],
  'stopped in a tool': [asksFor('hold', { name: 'x' }), says('never said')],
  'denied call': [asksFor('forbidden', { name: 'x' }), says('It was not run.')],
  'failed by the provider': [failsWith(401)],
  'broken tool': [asksFor('broken', { name: 'x' }), says('It is broken.')],
  'waits for subagents': [together(spawn('child task', true), spawn('child task', true)), says('Done.')],
  'subagent in the background': [spawn('child task', false), says('Started.')],
  'child task': [asksFor('put', { name: 'z' }), says('The child is done.')],
  'limit reached': ({ tools: offered }) => (offered?.length ? asksFor('look', { name: 'the same' }) : says('Gave up.')),
});

const shapes: Record<string, (chat: Chat) => Promise<string>> = {};
for (const name of [
  'no tool',
  'one of each class',
  'many calls',
  'denied call',
  'failed by the provider',
  'broken tool',
  'waits for subagents',
  'subagent in the background',
  'limit reached',
]) {
  shapes[name] = async (chat) => ownerOf(chat, await turnOf(chat, name));
}
shapes['stopped in a tool'] = async (chat) => {
  const { turnId } = await chat.say('stopped in a tool', { chat: 'stopped in a tool' });
  await tools.begun('hold');
  await chat.say('/stop', { chat: 'stopped in a tool', command: 'stop' });
  await chat.ended(turnId ?? '');
  return ownerOf(chat, turnId ?? '');
};
shapes.subagent = async (chat) =>
  `${await ownerOf(chat, await turnOf(chat, 'waits for subagents', 'subagent'))}/sub/s1.c1`;

// A part that is refused for a while: the run sleeps to its next try.
shapes.delivery = async (chat) => {
  const { turnId } = await chat.say('no tool', { chat: 'platform', channel: 'fake', externalUserId: 'somebody' });
  await chat.ended(turnId ?? '');
  await (await chat.run(turnId ?? '')).result();
  const notice = await chat.agent.store.outbox.notice(turnId ?? '', 'later', 'One more word.');
  platform.next('refuse for now', 'take');
  await chat.agent.engine.wakeDelivery(notice?.destination ?? '');
  return `delivery/${notice?.destination}`;
};
for (const type of ['sweep', 'reconcile']) {
  shapes[type] = async (chat) => {
    const workflowId = `${type}-${randomUUID()}`;
    await chat.client.workflow.start(type, { workflowId, taskQueue: chat.taskQueue });
    return workflowId;
  };
}
// Replies of the terminal need no delivery since they stand in the transcript; the shapes above that were recorded before have one.
shapes['in the transcript'] = async (chat) =>
  ownerOf(chat, await turnOf(chat, 'one of each class', 'in the transcript'));
shapes['delayed start'] = async (chat) => {
  const { turnId } = await chat.say('no tool', { chat: 'delayed', delayMs: 300 });
  await chat.ended(turnId ?? '');
  return ownerOf(chat, turnId ?? '');
};

async function turnOf(chat: Chat, text: string, place = text): Promise<string> {
  const { turnId } = await chat.say(text, { chat: place });
  await chat.ended(turnId ?? '');
  return turnId ?? '';
}

async function ownerOf(chat: Chat, turnId: string): Promise<string> {
  const turn = await chat.agent.store.turns.find(turnId);
  return turn?.owner ?? '';
}

/** Stacks hold paths of this machine, identities its name. */
function withoutMachine(key: string, value: unknown): unknown {
  return key === 'stackTrace' || key === 'identity' ? '' : value;
}

const wanted = process.argv.slice(2);
const platform = await startPlatform();
const chat = await startChat({
  tools: [...tools.tools, spawnTool as Tool],
  script,
  channels: [platformChannel(platform.url)],
});
try {
  for (const [name, shape] of Object.entries(shapes)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    const handle = chat.client.workflow.getHandle(await shape(chat));
    await handle.result();
    await writeFile(
      join(folder, `${name.replaceAll(' ', '-')}.json`),
      `${JSON.stringify(JSON.parse(historyToJSON(await handle.fetchHistory())), withoutMachine)}\n`,
    );
    console.log(`recorded ${name}`);
  }
} finally {
  await chat.close();
  await platform.close();
}
