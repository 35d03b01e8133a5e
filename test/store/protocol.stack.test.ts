// The protocol of turns under faults, against a real PostgreSQL: random scenarios, then quiet, then the invariants. Each seed gives one
// scenario; where several transactions are under way at once, their order inside the database is the only thing that a seed leaves open.
//   DURABOT_PROTOCOL_SCENARIOS=100000   how many, 150 unless given
//   DURABOT_PROTOCOL_SEED=609           where to begin; with one scenario its trace is printed
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { StoreDeps } from '../../store/deps.js';
import { createStore, type Store } from '../../store/index.js';
import { openPool, type Pool } from '../../store/pool.js';
import { openTestStore, type TestStore } from '../support/store.js';
import { breakStatements, type Change, instead } from './protocol/broken.js';
import { addGuards } from './protocol/guards.js';
import { runScenario, type Stores } from './protocol/scenario.js';

const count = Number(process.env.DURABOT_PROTOCOL_SCENARIOS ?? 150);
const firstSeed = Number(process.env.DURABOT_PROTOCOL_SEED ?? 1);

let t: TestStore;

beforeAll(async () => {
  t = await openTestStore();
  await addGuards(t.pool);
});
afterAll(() => t.close());

function storesOf(deps: StoreDeps): Stores {
  const { chat, subagent } = deps.limits;
  const tight = { chat: { ...chat, steps: 2 }, subagent: { ...subagent, steps: 1 }, childrenAtOnce: 1 };
  return { pool: deps.pool, all: [createStore(deps), createStore(deps), createStore({ ...deps, limits: tight })] };
}

test(
  `${count} scenarios from seed ${firstSeed} on keep every invariant`,
  async () => {
    const stores = storesOf(t.deps);
    for (let seed = firstSeed; seed < firstSeed + count; seed++) {
      const { violations, trace } = await runScenario(stores, seed);
      if (violations.length === 0 && count > 1) continue;
      if (violations.length > 0 || count === 1) process.stderr.write(`${trace.join('\n')}\n`);
      expect({ seed, violations }).toEqual({ seed, violations: [] });
    }
  },
  60_000 + count * 2_000,
);

interface Broken {
  rule: string;
  statements?: Record<string, Change>;
  store?(store: Store, pool: Pool): Store;
  database?: string;
}

let doubles = 0;

const broken: Broken[] = [
  {
    rule: 'only the attempt that opened last may record',
    store: (store, pool) => ({
      ...store,
      transcript: {
        ...store.transcript,
        recordStep: async (record) => {
          const sql = `update turn set open_token = $2 where id = $1 and state = 'running'`;
          await pool.query(sql, [record.turnId, record.attempt.token]);
          return store.transcript.recordStep(record);
        },
      },
    }),
  },
  {
    rule: 'a redelivered message is known by its key',
    statements: {
      'insert-inbox': (statement) => {
        const values = [...(statement.values ?? [])];
        values[2] = `${values[2]} ${++doubles}`;
        return { ...statement, values };
      },
    },
  },
  {
    rule: 'a turn is shared with its own person only',
    statements: { 'claim-next': instead('i.person_id = first.person_id', 'true') },
  },
  {
    rule: 'only the person of a turn steers it',
    statements: { 'open-and-join': instead('i.person_id = t.person_id', 'true') },
  },
  {
    rule: 'nothing begins after the stop mark',
    statements: {
      'see-effect': instead('t.mark_position is not null as marked', 'false as marked'),
      'start-effect': instead('and t.mark_position is null', ''),
      'take-over': instead('and mark_position is null', ''),
    },
  },
  {
    rule: 'a row that is being sent is its own lock',
    statements: { 'claim-row': instead("(o.state = 'pending' or (", "(o.state in ('pending', 'sending') or (") },
    database: 'drop index one_row_is_sent_at_a_time',
  },
  {
    rule: 'a row found in sending is looked up first',
    statements: { 'claim-row': instead("o.was_unknown or o.state = 'sending'", 'o.was_unknown') },
  },
  {
    rule: 'a closing settles the calls that are open',
    statements: { 'settle-open-calls': instead("state in ('planned', 'started')", 'false') },
  },
  {
    rule: 'rows of a turn enter its transcript when it closes',
    statements: { 'enter-at-closing': instead('turn_id = $2 and not entered', 'false') },
  },
  {
    rule: 'a once call is never run again',
    statements: { 'see-effect': instead('e.class,', "'idempotent' as class,") },
  },
  {
    rule: 'a stopped subagent reports by a note',
    statements: {
      'child-result-as-row': (statement) => ({
        ...statement,
        values: (statement.values ?? []).map((value) => (value === 'note' ? 'result' : value)),
      }),
    },
  },
  {
    rule: "transactions of a turn hold its conversation's lock",
    statements: {
      begin: (statement) => ({ ...statement, text: statement.text.replace('for no key update', '') }),
      'lock-place': instead('for no key update of c', ''),
    },
  },
];

test.each(broken)(
  'without this rule an invariant breaks: $rule',
  async ({ statements, store, database }) => {
    const other = await openTestStore();
    const pool = openPool({ databaseUrl: other.databaseUrl, max: 20 });
    try {
      await addGuards(other.pool);
      if (database) await other.pool.query(database);
      const met = breakStatements(pool, statements ?? {});
      const { all } = storesOf({ ...other.deps, pool });
      const stores: Stores = { pool, all: all.map((one) => store?.(one, pool) ?? one) };
      const found: string[] = [];
      for (let seed = 1; seed <= 400 && found.length === 0; seed++)
        found.push(...(await runScenario(stores, seed)).violations);
      expect([...met].sort()).toEqual(Object.keys(statements ?? {}).sort());
      expect(found).not.toEqual([]);
    } finally {
      await pool.end();
      await other.close();
    }
  },
  300_000,
);
