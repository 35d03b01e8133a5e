// A store with one rule switched off, to see whether the invariants would notice: statements are changed on their way to the database,
// by their names, in the test alone.
import type { Pool } from '../../../store/pool.js';

interface Statement {
  name?: string;
  text: string;
  values?: unknown[];
}

export type Change = (statement: Statement) => Statement;

/** Replaces a piece of a statement. Throws when the piece is not there: then the statement has changed, and the change must follow. */
export function instead(piece: string, replacement: string): Change {
  return (statement) => {
    if (!statement.text.includes(piece)) throw new Error(`${statement.name} no longer contains: ${piece}`);
    return { ...statement, text: statement.text.replaceAll(piece, replacement) };
  };
}

type Query = (first: unknown, ...rest: unknown[]) => unknown;

/** Names are those of prepared statements; what is sent as plain text goes by its first word. Returns the names that were met. */
export function breakStatements(pool: Pool, changes: Readonly<Record<string, Change>>): Set<string> {
  const met = new Set<string>();
  pool.on('connect', (client: { query: unknown }) => {
    const query = (client.query as Query).bind(client);
    client.query = (first: unknown, ...rest: unknown[]) => query(changed(first), ...rest);
  });
  return met;

  function changed(first: unknown): unknown {
    const statement = typeof first === 'string' ? { text: first } : isStatement(first) ? first : undefined;
    const name = statement?.name ?? statement?.text.match(/^\w+/)?.[0] ?? '';
    const change = changes[name];
    if (!statement || !change) return first;
    met.add(name);
    return typeof first === 'string' ? change(statement).text : change(statement);
  }
}

function isStatement(first: unknown): first is Statement {
  return typeof first === 'object' && first !== null && 'text' in first;
}
