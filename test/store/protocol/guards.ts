// Rules that must hold at every moment, not only in the end: triggers that refuse what no transaction of the store may do.
import type { Pool } from '../../../store/pool.js';

const refusals = [
  ['effect', `old.state in ('done', 'failed', 'unknown', 'not run') and new.state <> old.state`, 'an outcome changes'],
  ['turn', `old.state not in ('claimed', 'running') and new.state <> old.state`, 'a closed turn changes'],
  ['turn', `old.mark_position is not null and new.mark_position is distinct from old.mark_position`, 'a mark moves'],
  ['inbox', `old.turn_id is not null and new.turn_id is distinct from old.turn_id`, 'a message changes its turn'],
  ['inbox', `old.entered and not new.entered`, 'a message leaves its transcript'],
  ['outbox', `old.state in ('sent', 'failed', 'unknown') and new.state <> old.state`, 'a delivered row changes'],
  ['outbox', `old.was_unknown and not new.was_unknown`, 'a row forgets that it was unknown'],
  ['entry', 'true', 'an entry changes'],
  ['step', 'true', 'a step changes'],
] as const;

export async function addGuards(pool: Pool): Promise<void> {
  for (const [n, [table, condition, what]] of refusals.entries()) {
    await pool.query(`create function guard_${n}() returns trigger language plpgsql as $$
      begin if ${condition} then raise exception '${what}: %', old; end if; return new; end $$`);
    await pool.query(`create trigger guard_${n} before update on ${table} for each row execute function guard_${n}()`);
  }
}
