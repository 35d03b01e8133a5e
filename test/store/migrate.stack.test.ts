import { expect, test } from '@jest/globals';
import pg from 'pg';
import { migrate } from '../../store/migrate.js';
import { createTestDatabase } from '../support/database.js';

test.each([2, 8])('%i processes that start at once on an empty database migrate it once', async (count) => {
  const database = await createTestDatabase({ migrated: false });
  const client = new pg.Client({ connectionString: database.databaseUrl });
  try {
    await Promise.all(Array.from({ length: count }, () => migrate(database.databaseUrl)));
    await migrate(database.databaseUrl);
    await client.connect();
    const { rows } = await client.query('select name, count(*)::int as n from migration group by name order by name');
    expect(rows[0]).toEqual({ name: '001_foundation', n: 1 });
    expect(rows.every(({ n }) => n === 1)).toBe(true);
    expect((await client.query('select role from person')).rows).toEqual([{ role: 'owner' }]);
  } finally {
    await client.end();
    await database.drop();
  }
});

test('a database that cannot be reached is an error, not a wait', async () => {
  await expect(migrate('postgresql://durabot@127.0.0.1:1/none')).rejects.toThrow();
});
