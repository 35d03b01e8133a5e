// Builds with one promise broken on purpose, each with the blow that shows it: the oracle must catch every one, by the invariant that
// is named. Edits are made to dist/ while it is loaded.
import type { Violation } from './invariants.js';
import type { Blow, TimedPost } from './plan.js';
import type { Plan } from './script.js';

export interface BrokenBuild {
  name: string;
  edits: { file: string; find: string; put: string }[];
  /** Broken in what a kill test adds to the product, not in the product itself. */
  acknowledgesFirst?: boolean;
  mailIsIdempotent?: boolean;
  plan: Plan;
  /** Beside the one message: the same again. */
  posts?: Partial<TimedPost>[];
  blows: Blow[];
  caughtBy: Violation['id'][];
}

const at = (point: string): Blow[] => [{ victim: 'serve', when: { point } }];

export const brokenBuilds: readonly BrokenBuild[] = [
  {
    name: 'the platform hears that we have a message before the store has it',
    edits: [],
    acknowledgesFirst: true,
    plan: { steps: [] },
    blows: at('intake.before-commit'),
    caughtBy: ['I1'],
  },
  {
    name: 'a message that is delivered twice is another message',
    edits: [
      {
        file: 'store/conversations.js',
        find: '            incoming.externalId,\n',
        put: "            incoming.externalId + '/' + Math.random(),\n",
      },
    ],
    plan: { steps: [] },
    posts: [{ atMs: 50 }],
    blows: [],
    caughtBy: ['I2'],
  },
  {
    name: 'a reply whose answer was lost is sent again without a look',
    edits: [{ file: 'activities/delivery/send-row.js', find: 'if (row.wasUnknown) {', put: 'if (false) {' }],
    plan: { steps: [] },
    blows: at('outbox.after-send'),
    caughtBy: ['I3'],
  },
  {
    name: 'an interrupted call that may have happened is run again',
    edits: [],
    mailIsIdempotent: true,
    plan: { steps: [[{ tool: 'mail', ms: 50 }]] },
    blows: at('tool.after-effect'),
    caughtBy: ['I4'],
  },
  {
    name: 'a recorded step is asked for again',
    edits: [{ file: 'store/transcript.js', find: 'if (facts.recorded) {', put: 'if (false) {' }],
    plan: { steps: [[{ tool: 'put', ms: 50 }]] },
    blows: at('model.after-record'),
    caughtBy: ['I12'],
  },
  {
    name: 'a call whose worker died is left without a result',
    edits: [
      {
        file: 'store/effects.js',
        find: 'const written = await writeSettled(deps, seen, result);',
        put: "return { outcome: 'unknown', bytes: 0, tainted: false };",
      },
    ],
    plan: { steps: [[{ tool: 'mail', ms: 50 }]] },
    blows: at('tool.after-effect'),
    caughtBy: ['I5', 'I10'],
  },
];
