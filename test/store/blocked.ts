// Two transactions that meet: the test lets one wait for the other, and goes on when it really does.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from '../../store/pool.js';

/** Resolves when `count` backends of this database wait for a lock. */
export async function untilBlocked(pool: Pool, count = 1): Promise<void> {
  for (;;) {
    const { rows } = await pool.query<{ n: number }>(
      `select count(*)::int as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    );
    if ((rows[0]?.n ?? 0) >= count) return;
    await sleep(5);
  }
}
