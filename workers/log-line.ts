// A line of the log as a person reads it.
import { instantIn } from './columns.js';

const levels: Record<number, string> = { 20: 'debug', 30: 'info', 40: 'warn', 50: 'error' };

/** A line that is no JSON of ours is shown as it is. */
export function logLineFor(timeZone: string): (line: string) => string {
  const instant = instantIn(timeZone);
  return (line) => {
    const entry = parse(line);
    if (!entry) return line;
    const { time, level, msg, pid, process: name, err, ...rest } = entry;
    const fields = Object.entries(rest).map(
      ([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
    );
    const cause = causeOf(err);
    const where = `${String(name)}[${String(pid)}]`;
    return [
      instant(String(time)),
      (levels[Number(level)] ?? String(level)).padEnd(5),
      where,
      String(msg),
      ...fields,
      ...cause,
    ].join(' ');
  };
}

/** Does the line speak of this turn, by its id or by its run's? */
export function speaksOf(turnId: string): (line: string) => boolean {
  const cut = turnId.lastIndexOf('-');
  const run = `turn/${turnId.slice(0, cut)}/${turnId.slice(cut + 1)}`;
  const named = new RegExp(`(?<![\\w-])(?:${asPattern(turnId)}|${asPattern(run)})(?![\\w-])`);
  return (line) => named.test(line);
}

function asPattern(text: string): string {
  return text.replace(/[^\w-]/g, '\\$&');
}

function causeOf(err: unknown): string[] {
  if (typeof err !== 'object' || err === null || !('message' in err)) return [];
  return [`(${String(err.message)})`];
}

function parse(line: string): Record<string, unknown> | undefined {
  try {
    const entry: unknown = JSON.parse(line);
    return typeof entry === 'object' && entry !== null ? (entry as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
