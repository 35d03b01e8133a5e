// The kill rows as data: who is hit, when, under which load.
import { crashPointNames } from '../../store/crash-points.js';
import {
  type Blow,
  between,
  calls,
  type LoadShape,
  loadOf,
  mixedPlan,
  type NextNumber,
  oneOf,
  type Random,
  type RoundPlan,
  randomOf,
} from './plan.js';
import type { Role } from './processes.js';
import { type Plan, type PlannedCall, toText } from './script.js';

export interface Row {
  id: string;
  title: string;
  processes: readonly Role[];
  load: LoadShape;
  /** A second person's message waits in each chat, so that a turn is handed over. */
  waits?: boolean;
  /** Rounds of this row differ by their index. */
  blows(random: Random, index: number): Blow[];
}

const everyTool = [calls.look, calls.fetch, calls.put, calls.mail, calls.exec, calls.write];
const mixed = (count: number) => (random: Random) => mixedPlan(random, between(random, 0, count + 1), everyTool);
const put: PlannedCall = { tool: 'put', ms: 60 };
const child = (wait: boolean, steps: PlannedCall[][] = [[put]]): PlannedCall => ({
  tool: 'spawn',
  wait,
  plan: { steps },
});

/** One of each, so that every point is passed: a turn, tools of each class, a child, and a message that waits for the next turn. */
const everything: Plan = {
  steps: [
    [
      { tool: 'look', ms: 20 },
      { tool: 'fetch', ms: 40 },
    ],
    [put, { tool: 'mail', ms: 60 }],
    [{ tool: 'exec', ms: 100 }],
    [child(true)],
  ],
  words: 6,
  wordMs: 5,
};

/** As armed: `outbox.after-send`. */
export const crashPoints: readonly string[] = crashPointNames.flatMap((name) => {
  const [room, what] = name.split('.');
  return [`${room}.before-${what}`, `${room}.after-${what}`];
});

// These are passed again and again in a turn, so a later pass is another place.
const oftenPassed = /^(turn\.\w+-task|model|tool|transcript)/;

const family = (random: Random): Plan => ({
  steps: [
    [put],
    oneOf(random, [
      [child(true, [[put], [child(true)]]), child(true)],
      [child(true), child(true), child(true), child(true)],
      [child(false, [[put], [child(true)]]), child(true)],
      [child(false), child(false)],
    ]),
    ...(random() < 0.5 ? [[put]] : []),
  ],
});

const soon = (random: Random, within = 2_000) => ({ afterMs: between(random, 50, within) });

export const rows: readonly Row[] = [
  {
    id: 'K1',
    title: 'the process at each crash point',
    processes: ['serve'],
    load: { conversations: 1, plan: () => everything },
    waits: true,
    blows(random, index) {
      const point = crashPoints[index % crashPoints.length] ?? '';
      const pass = oftenPassed.test(point) ? between(random, 1, 4) : 1;
      return [{ victim: 'serve', when: { point: `${point}:${pass}` } }];
    },
  },
  {
    id: 'K1b',
    title: 'one of two workers at a crash point',
    processes: ['gateway', 'worker', 'worker'],
    load: { conversations: 2, plan: () => everything },
    blows(random) {
      const points = crashPoints.filter((point) =>
        /^(turn\.\w+-task|model|tool|transcript|outbox|subagent)/.test(point),
      );
      return [{ victim: 'worker', when: { point: `${oneOf(random, points)}:${between(random, 1, 3)}` } }];
    },
  },
  {
    id: 'K2',
    title: 'the process at any moment',
    processes: ['serve'],
    load: { conversations: 8, plan: mixed(5), steered: 0.3, stopped: 0.15, blind: 0.1 },
    blows: (random) => [{ victim: 'serve', when: soon(random) }],
  },
  {
    id: 'K2b',
    title: 'one of two workers at any moment',
    processes: ['gateway', 'worker', 'worker'],
    load: { conversations: 8, plan: mixed(5), steered: 0.3, stopped: 0.15 },
    blows: (random) => [{ victim: 'worker', when: soon(random) }],
  },
  {
    id: 'K3',
    title: 'the gateway at any moment',
    processes: ['gateway', 'worker'],
    load: { conversations: 8, plan: mixed(2), steered: 0.5, stopped: 0.1 },
    blows(random) {
      const points = crashPoints.filter((point) => /^(intake|turn\.\w+-start)/.test(point));
      const when = random() < 0.5 ? soon(random, 800) : { point: `${oneOf(random, points)}:${between(random, 1, 6)}` };
      return [{ victim: 'gateway', when }];
    },
  },
  {
    id: 'K4',
    title: 'Temporal at any moment',
    processes: ['serve'],
    load: { conversations: 6, plan: mixed(4), steered: 0.3, stopped: 0.1 },
    blows: (random) => [{ victim: 'temporal', when: soon(random), downMs: between(random, 0, 3_000) }],
  },
  {
    id: 'K5',
    title: 'PostgreSQL at any moment',
    processes: ['serve'],
    load: { conversations: 6, plan: mixed(4), steered: 0.3, stopped: 0.1 },
    blows: (random) => [{ victim: 'postgres', when: soon(random), downMs: between(random, 0, 3_000) }],
  },
  {
    id: 'K6',
    title: 'everything in one blow',
    processes: ['serve'],
    load: { conversations: 6, plan: mixed(4), steered: 0.2, blind: 0.1 },
    blows: (random) => [{ victim: 'everything', when: soon(random), downMs: between(random, 0, 1_000) }],
  },
  {
    id: 'K7',
    title: 'the process while subagents run',
    processes: ['serve'],
    load: { conversations: 2, plan: family, stopped: 0.2 },
    blows: (random) => [{ victim: 'serve', when: soon(random, 2_500) }],
  },
  {
    id: 'K10',
    title: 'a command, or its supervisor',
    processes: ['serve'],
    load: { conversations: 2, plan: () => ({ steps: [[{ tool: 'exec', ms: 1_500 }], [put]] }) },
    blows: (random) => [
      { victim: oneOf(random, ['command', 'supervisor']), when: { afterMs: between(random, 0, 600) } },
    ],
  },
  {
    id: 'K11',
    title: 'the process while an answer streams',
    processes: ['serve'],
    load: { conversations: 3, plan: () => ({ steps: [], words: 120, wordMs: 12 }) },
    blows: (random) => [{ victim: 'serve', when: { afterMs: between(random, 300, 1_800) } }],
  },
  {
    id: 'K12',
    title: 'the process, and again after its restart',
    processes: ['serve'],
    load: { conversations: 6, plan: mixed(4), steered: 0.3 },
    blows: (random) => [
      { victim: 'serve', when: soon(random) },
      { victim: 'serve', when: soon(random, 3_000) },
    ],
  },
  {
    id: 'K14',
    title: 'a crash loop',
    processes: ['serve'],
    load: { conversations: 6, plan: mixed(5), steered: 0.3 },
    blows: (random) => Array.from({ length: 8 }, () => ({ victim: 'serve', when: soon(random, 4_000) })),
  },
  {
    id: 'N1',
    title: 'a worker or the gateway is frozen and thaws',
    processes: ['gateway', 'worker', 'worker'],
    load: { conversations: 6, plan: mixed(4), steered: 0.3 },
    blows: (random) => [
      {
        victim: oneOf(random, ['worker', 'worker', 'gateway']),
        when: soon(random),
        freezeMs: between(random, 1_500, 12_000),
      },
    ],
  },
];

/** The same for the same seed, but for the numbers of the messages. */
export function planRound(row: Row, index: number, seed: number, next: NextNumber): RoundPlan {
  const random = randomOf(seed, row.id, index);
  const prefix = `${row.id}-${index}`;
  const posts = loadOf(row.load, prefix, random, next);
  if (row.waits) {
    const number = next();
    const text = toText(number, { steps: [[put]] });
    posts.push({ number, channel: 'fake', chat: `${prefix}.c1`, from: 'bob', text, atMs: 350 });
  }
  return { row: row.id, index, prefix, processes: row.processes, posts, blows: row.blows(random, index) };
}

export function rowOf(id: string): Row {
  const row = rows.find((known) => known.id === id);
  if (!row) throw new Error(`There is no row ${id}. Known: ${rows.map((known) => known.id).join(', ')}.`);
  return row;
}
