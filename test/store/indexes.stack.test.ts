import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openTestStore, type TestStore } from '../support/store.js';

let t: TestStore;

beforeAll(async () => {
  t = await openTestStore();
});
afterAll(() => t.close());

// Without one, deleting a conversation reads the whole table again for each of its turns.
test('every foreign key of rows that may be deleted has an index', async () => {
  const { rows } = await t.pool.query(
    `select c.conrelid::regclass || '.' || a.attname as key from pg_constraint c
        join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
      where c.contype = 'f' and c.confrelid in ('conversation'::regclass, 'turn'::regclass, 'address'::regclass)
        and not exists (select from pg_index i where i.indrelid = c.conrelid and i.indkey[0] = c.conkey[1]
          and (i.indpred is null or pg_get_expr(i.indpred, i.indrelid) = '(' || a.attname || ' IS NOT NULL)'))`,
  );
  expect(rows).toEqual([]);
});
