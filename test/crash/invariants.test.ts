// Each invariant over a round made by hand: tidy, it holds; with one thing changed, that one is broken and no other word is needed.
import { expect, test } from '@jest/globals';
import { checkAll, requestsAgain } from './invariants.js';
import type { Event, Line } from './journal.js';
import type { Observation } from './round.js';

const question = '#7 {"steps":[[{"tool":"mail","ms":5}]]}';

/** One message, one `mail`, one answer; killed once, at 50, while the answer to step 1 was on its way. */
function tidy(): Observation {
  const at = (moment: number, event: Event): Line => ({ ...event, at: moment, wall: moment });
  const asked = { kind: 'asked' as const, turn: '7', numbers: ['7'] };
  return {
    plan: { row: 'K0', index: 0, prefix: 'K0-0', processes: ['serve'], posts: [], blows: [] },
    strikes: [{ victim: 'serve', kind: 'kill', at: 50, until: 50 }],
    lines: [
      at(10, { kind: 'posted', number: 7, channel: 'fake', chat: 'K0-0.c1', from: 'ann', text: question }),
      at(20, { kind: 'acknowledged', channel: 'fake', numbers: [7] }),
      at(40, { ...asked, request: 1, step: 1 }),
      at(200, { ...asked, request: 2, step: 1 }),
      at(300, {
        kind: 'effect',
        id: 1,
        tool: 'mail',
        key: '1-1/s1.c1',
        name: '7.1',
        text: 'mail 7.1 is done',
        folded: false,
      }),
      at(400, { ...asked, request: 3, step: 2 }),
      at(500, {
        kind: 'sent',
        id: 'a',
        channel: 'fake',
        chat: 'K0-0.c1',
        key: '1-1/answer/1',
        text: 'Answered #7.',
        repeat: false,
      }),
    ],
    store: {
      turns: [
        {
          id: '1-1',
          owner: 'turn/1/1',
          state: 'answered',
          reason: null,
          rootTurnId: '1-1',
          parentTurnId: null,
          parentCallId: null,
          conversationId: '1',
          waited: false,
          chat: 'K0-0.c1',
          markedAt: null,
          closedAt: 450,
        },
      ],
      inbox: [{ externalId: 'm7', kind: 'message', turnId: '1-1', conversationId: '1', position: 1, text: question }],
      entries: [
        { id: 1, role: 'person', callId: null, parts: [{ kind: 'text', text: question }] },
        {
          id: 2,
          role: 'assistant',
          callId: null,
          parts: [{ kind: 'call', callId: 's1.c1', tool: 'mail', arguments: '{}' }],
        },
        {
          id: 3,
          role: 'tool',
          callId: 's1.c1',
          parts: [{ kind: 'result' as const, callId: 's1.c1', tool: 'mail', text: 'mail 7.1 is done', failed: false }],
        },
        { id: 4, role: 'assistant', callId: null, parts: [{ kind: 'text', text: 'Answered #7.' }] },
      ].map((entry) => ({ ...entry, conversationId: '1', turnId: '1-1' }) as Observation['store']['entries'][number]),
      effects: [{ turnId: '1-1', callId: 's1.c1', tool: 'mail', state: 'done', arguments: { name: '7.1' } }],
      outbox: [
        {
          id: 1,
          key: '1-1/answer/1',
          destination: '1',
          turnId: '1-1',
          source: 'answer',
          part: 1,
          state: 'sent',
          tries: 1,
          wasUnknown: false,
          flagged: false,
          text: 'Answered #7.',
        },
      ],
      steps: [
        { turnId: '1-1', step: 1, recordedAt: 250 },
        { turnId: '1-1', step: 2, recordedAt: 450 },
      ],
    },
    attempts: [],
    exec: [],
    workspace: { temporary: [], written: new Map() },
    left: [],
    deaths: [],
    notReached: [],
    startedAt: 0,
    tookMs: 600,
  };
}

type Change = (seen: Observation) => unknown;
const only = <Item>(items: Item[]): Item => {
  const [item] = items;
  if (item === undefined) throw new Error('nothing there');
  return item;
};
const again = (seen: Observation, kind: Line['kind'], changes: object = {}): void => {
  const line = seen.lines.findLast((candidate) => candidate.kind === kind);
  if (line) seen.lines.push({ ...line, at: 900, wall: 900, ...changes } as Line);
};

const broken: [string, string, Change][] = [
  ['I1', 'an acknowledged message without a row', ({ store }) => store.inbox.pop()],
  ['I1', 'a message that waits for ever', ({ store }) => Object.assign(only(store.inbox), { turnId: null })],
  ['I1', 'a turn that has not ended', ({ store }) => Object.assign(only(store.turns), { state: 'running' })],
  ['I1', 'a turn that was stopped by nobody', ({ store }) => Object.assign(only(store.turns), { state: 'stopped' })],
  ['I1', 'an answer that nobody sees', (seen) => seen.lines.pop()],
  ['I2', 'a message in two turns', (seen) => again(seen, 'asked', { turn: '6', step: 1 })],
  [
    'I2',
    'a message that stands twice in a transcript',
    ({ store }) => store.entries.push({ ...only(store.entries), id: 9 }),
  ],
  ['I3', 'a reply that is visible twice', (seen) => again(seen, 'sent', { id: 'b' })],
  [
    'I3',
    'a marked repeat of a row that was never unknown',
    (seen) => {
      for (const line of seen.lines) if (line.kind === 'sent') line.channel = 'blind';
      again(seen, 'sent', { id: 'b', repeat: true });
    },
  ],
  ['I4', 'an effect that happened twice', (seen) => again(seen, 'effect')],
  [
    'I4',
    'an effect that is done and never happened',
    (seen) => Object.assign(seen, { lines: seen.lines.filter(({ kind }) => kind !== 'effect') }),
  ],
  [
    'I4',
    'an effect that is "not run" and happened',
    ({ store }) => Object.assign(only(store.effects), { state: 'not run' }),
  ],
  [
    'I4',
    'an effect long after a stop',
    (seen) => {
      only(seen.store.turns).markedAt = 100;
      for (const line of seen.lines) if (line.kind === 'effect') line.wall = 5_000;
    },
  ],
  ['I5', 'a call without a result', ({ store }) => store.entries.splice(2, 1)],
  ['I5', 'a call with two results', ({ store }) => store.entries.splice(3, 0, { ...store.entries[2], id: 9 } as never)],
  [
    'I5',
    'a result that the world did not give',
    (seen) => {
      for (const line of seen.lines) if (line.kind === 'effect') line.text = 'something else';
    },
  ],
  [
    'I5',
    'another text shown than kept',
    (seen) => {
      for (const line of seen.lines) if (line.kind === 'sent') line.text = 'Answered #7. And more.';
    },
  ],
  ['I10', 'something that is left to do', (seen) => seen.left.push('1 open runs')],
  ['I10', 'half a file', (seen) => seen.workspace.temporary.push('.durabot-1.tmp')],
  ['I12', 'a step that is bought again without a blow', (seen) => Object.assign(seen, { strikes: [] })],
  [
    'I12',
    'a recorded step that is bought again',
    (seen) => {
      seen.strikes.push({ victim: 'serve', kind: 'kill', at: 800, until: 800 });
      again(seen, 'asked');
    },
  ],
  ['I12', 'an answer that is bought and dropped', ({ store }) => store.steps.pop()],
  ['death', 'a process that ends by itself', (seen) => seen.deaths.push('a worker ended by itself')],
];

test('a round in which every promise was kept has no violation', () => {
  expect(checkAll(tidy())).toEqual([]);
});

test.each(broken)('%s is broken by %s', (id, _name, change) => {
  const seen = tidy();
  change(seen);
  expect(checkAll(seen).map((violation) => violation.id)).toContain(id);
});

test('a copy that its sender took back does not count', () => {
  const seen = tidy();
  again(seen, 'sent', { id: 'b' });
  seen.lines.push({ kind: 'removed', id: 'b', at: 950, wall: 950 });
  expect(checkAll(seen)).toEqual([]);
});

test('a step that the engine gave away by mistake is told apart from one that a kill made necessary', () => {
  const seen = tidy();
  expect(requestsAgain(seen).map(({ cause }) => cause)).toEqual(['blow']);
  seen.strikes = [];
  seen.attempts = [
    { turnId: '1-1', activity: 'callModel', step: 1, callId: null, attempts: 2, lastFailure: 'timeout' },
  ];
  expect(requestsAgain(seen).map(({ cause }) => cause)).toEqual(['false alarm']);
  expect(checkAll(seen)).toEqual([]);
});
