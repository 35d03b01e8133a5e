// The oracle is tested too: a build that breaks a promise must be caught by the invariant that counts it.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { bundleWorkflowCode } from '@temporalio/worker';
import { type BrokenBuild, brokenBuilds } from './broken-builds.js';
import { makeBundle } from './bundle.js';
import { checkAll } from './invariants.js';
import type { TimedPost } from './plan.js';
import { openStage, type Stage } from './processes.js';
import { replayRuns } from './replay.js';
import { openRunner } from './round.js';
import { toText } from './script.js';

let folder: string;
let stage: Stage;
let number = 0;
const began = new Date();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'durabot-broken-'));
  stage = await openStage({ bundle: await makeBundle(join(folder, 'bundle.js')) });
}, 120_000);

afterAll(async () => {
  await stage?.close();
  await rm(folder, { recursive: true, force: true });
}, 60_000);

async function violationsOf({ name, plan, posts = [], blows }: BrokenBuild): Promise<string[]> {
  const runner = await openRunner({ stage, silenceMs: 500, quietWithinMs: 8_000, brokenBuild: name });
  try {
    const own = ++number;
    const prefix = `broken-${own}`;
    const post: TimedPost = {
      number: own,
      channel: 'fake',
      chat: `${prefix}.c1`,
      from: 'ann',
      text: toText(own, plan),
      atMs: 0,
    };
    const others = posts.map((changes) => ({ ...post, ...changes }));
    const seen = await runner.run({
      row: prefix,
      index: 0,
      prefix,
      processes: ['serve'],
      posts: [post, ...others],
      blows,
    });
    expect(seen.notReached).toEqual([]);
    return checkAll(seen).map(({ id }) => id);
  } finally {
    await runner.close();
  }
}

test.each(brokenBuilds.map((build) => ({ ...build, toString: () => build.name })))(
  'caught: $name',
  async (build) => {
    expect(await violationsOf(build)).toEqual(expect.arrayContaining(build.caughtBy));
  },
  120_000,
);

test('caught: a workflow that was changed while its runs are kept', async () => {
  const runner = await openRunner({ stage });
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(import.meta.dirname, '../workflows/changed-on-purpose.ts'),
    logger: { log() {}, trace() {}, debug() {}, info() {}, warn() {}, error() {} },
  });
  const wrong = await replayRuns(runner.client(), { code }, began);
  await runner.close();
  expect(wrong.map(({ id }) => id)).toContain('I6');
}, 60_000);
