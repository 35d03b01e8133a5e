// Every crash point is a place that the product passes: else a kill test that is armed with it proves nothing.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createExecTool } from '../../activities/tools/exec/exec.js';
import { spawnTool } from '../../activities/tools/spawn.js';
import type { Tool } from '../../activities/tools/tool.js';
import { writeFileTool } from '../../activities/tools/write-file.js';
import type { Channel } from '../../channels/channel.js';
import type { CrashPoint } from '../../store/crash-points.js';
import { type Chat, startChat } from '../support/chat.js';
import { makeBundle } from './bundle.js';
import { monotonicMs } from './journal.js';
import { type Oracle, startOracle } from './oracle.js';
import { effectTools, oracleChannel } from './product-side.js';
import { crashPoints, planRound, rowOf } from './rows.js';
import { answer } from './script.js';

const passed = new Set<string>();
const record: CrashPoint = (name, side) => {
  passed.add(name.replace('.', `.${side}-`));
};
let folder: string;
let oracle: Oracle;
let channel: Channel;
let chat: Chat;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'durabot-points-'));
  oracle = await startOracle({ journal: join(folder, 'journal.jsonl'), sendMs: 1 });
  channel = oracleChannel({ url: oracle.url, name: 'fake', canLook: true, crashPoint: record });
  const exec = createExecTool({ dataDir: join(folder, 'data'), sandbox: async () => ({ kind: 'off' }) });
  chat = await startChat({
    script: answer,
    tools: [...effectTools(oracle.url), exec as Tool, writeFileTool as Tool, spawnTool as Tool],
    channels: [channel],
    store: { crashPoint: record },
    agent: { workflowBundle: { codePath: await makeBundle(join(folder, 'bundle.js')) } },
  });
  await channel.start(chat.accept);
}, 60_000);

afterAll(async () => {
  await channel.stop();
  await chat.close();
  await oracle.close();
  await rm(folder, { recursive: true, force: true });
});

test('each point is passed on both sides by the load of the row that is armed with it', async () => {
  let number = 0;
  const { posts } = planRound(rowOf('K1'), 0, 1, () => ++number);
  for (const { atMs: _, ...post } of posts)
    await fetch(`${oracle.url}/post`, { method: 'POST', body: JSON.stringify(post) });
  const missing = () => crashPoints.filter((point) => !passed.has(point));
  const end = monotonicMs() + 30_000;
  while (missing().length > 0 && monotonicMs() < end) await new Promise((resolve) => setTimeout(resolve, 100));
  expect(missing()).toEqual([]);
});
