// The proof by killing, a short part of it for each run of the tests: a stack of its own, the built product, SIGKILL at the places where
// a promise is easiest to break, and then the promises counted from outside. `npm run test:crash` does the rest.
// A violation is a sentence; the whole of what was seen lies in the folder that is named then.
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { makeBundle } from './bundle.js';
import { checkAll, requestsAgain } from './invariants.js';
import type { Blow, TimedPost } from './plan.js';
import { openStage, type Stage } from './processes.js';
import { recoveriesOf } from './recovery.js';
import { replayRuns } from './replay.js';
import { type Observation, openRunner, type Runner } from './round.js';
import { planRound, rowOf } from './rows.js';
import { type Plan, type PlannedCall, toText } from './script.js';

let folder: string;
let stage: Stage;
let runner: Runner;
let bundle: string;
let number = 0;
const began = new Date();
const recoveries: string[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'durabot-slice-'));
  bundle = await makeBundle(join(folder, 'bundle.js'));
  stage = await openStage({ bundle });
  runner = await openRunner({ stage, silenceMs: 500 });
}, 120_000);

afterAll(async () => {
  await runner?.close();
  await stage?.close();
}, 60_000);

const put: PlannedCall = { tool: 'put', ms: 80 };
const mail: PlannedCall = { tool: 'mail', ms: 80 };
const fetch: PlannedCall = { tool: 'fetch', ms: 80 };
const exec: PlannedCall = { tool: 'exec', ms: 1_200 };
const child: PlannedCall = { tool: 'spawn', wait: true, plan: { steps: [[put]] } };

const at = (...points: string[]): Blow[] => points.map((point) => ({ victim: 'serve', when: { point } }));

/** One chat, one message; blows follow each other. */
async function killed(
  name: string,
  plan: Plan,
  blows: Blow[],
  waiting: Partial<TimedPost>[] = [],
): Promise<Observation> {
  const post = (changes: Partial<TimedPost>): TimedPost => {
    const own = ++number;
    return {
      number: own,
      channel: 'fake',
      chat: `${name}.c1`,
      from: 'ann',
      text: toText(own, plan),
      atMs: 0,
      ...changes,
    };
  };
  const posts = [post({}), ...waiting.map(post)];
  return judged(await runner.run({ row: name, index: 0, prefix: name, processes: ['serve'], posts, blows }));
}

/** A round of one of the rows that `npm run test:crash` runs. */
async function row(id: string): Promise<Observation> {
  return judged(await runner.run(planRound(rowOf(id), 0, 7, () => ++number)));
}

async function judged(seen: Observation): Promise<Observation> {
  for (const { kind, ms } of recoveriesOf(seen)) recoveries.push(`${seen.plan.row}: ${kind} ${ms} ms`);
  const violations = checkAll(seen).map(({ id, what }) => `${id}: ${what}`);
  if (violations.length > 0) {
    const file = join(folder, `${seen.plan.row}.json`);
    await writeFile(file, JSON.stringify({ ...seen, workspace: undefined, violations }, null, 1));
    violations.push(`all that was seen: ${file}`);
  }
  expect(violations).toEqual([]);
  return seen;
}

function fell(seen: Observation): (string | undefined)[] {
  return seen.strikes.map(({ point, victim }) => point ?? victim);
}

test('killed before, in and after the model call, a turn is answered once and no recorded step is bought again', async () => {
  const points = ['model.before-request', 'model.after-first-token', 'model.before-record', 'model.after-record'];
  const seen = await killed('model', { steps: [[put]], words: 8, wordMs: 5 }, at(...points));
  expect(fell(seen)).toEqual(points);
  // Cut in the stream, and answered but not recorded: these two were bought again, and nothing else was.
  expect(requestsAgain(seen).filter(({ cause }) => cause === 'blow')).toHaveLength(2);
}, 120_000);

test('killed in a tool and between two, each effect happens once, or is said to be unknown', async () => {
  const seen = await killed('tools', { steps: [[fetch], [put], [mail], [exec]] }, [
    ...at('tool.after-effect:2', 'tool.after-record:1', 'tool.after-effect:1'),
    { victim: 'serve', when: 'a command runs' },
  ]);
  expect(fell(seen)).toEqual(['tool.after-effect:2', 'tool.after-record:1', 'tool.after-effect:1', 'serve']);
  const states = seen.store.effects.map(({ tool, state }) => `${tool} ${state}`).sort();
  expect(states).toEqual(['exec done', 'fetch done', 'mail unknown', 'put done']);
}, 120_000);

test('killed with a closed turn and on the way to the platform, a reply is seen once, and the next turn begins', async () => {
  const points = ['turn.after-hand-over', 'outbox.after-send', 'outbox.before-mark'];
  const seen = await killed('closing', { steps: [] }, at('outbox.before-insert', ...points), [
    { from: 'bob', atMs: 10 },
  ]);
  expect(fell(seen)).toEqual(['outbox.before-insert', ...points]);
  expect(seen.lines.filter(({ kind }) => kind === 'sent')).toHaveLength(2);
}, 120_000);

test('killed around a subagent, its result reaches the call that waits for it', async () => {
  const points = ['subagent.before-start', 'subagent.after-result'];
  const seen = await killed('child', { steps: [[child, child]] }, at(...points));
  expect(fell(seen)).toEqual(points);
}, 120_000);

test.each(['K4', 'K5', 'K6', 'K2'])(
  'row %s: a server, everything, or the process is killed at any moment',
  async (id) => {
    expect((await row(id)).strikes).toHaveLength(1);
  },
  180_000,
);

test('every run of these rounds replays on this build', async () => {
  expect(await replayRuns(runner.client(), { codePath: bundle }, began)).toEqual([]);
  console.info(recoveries.join('\n'));
}, 60_000);
