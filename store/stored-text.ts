// PostgreSQL refuses two things that JavaScript strings may hold: the character 0, and half of a surrogate pair in JSON. A message, a
// tool's output or an answer cut inside an emoji would then be refused again at each retry, so both are kept as U+FFFD.

const escapes = /\\(?:u0000|ud[89a-f][0-9a-f]{2}|.)/g;

/** JSON for a `jsonb` column. */
export function toJson(value: unknown): string {
  const json = JSON.stringify(value ?? null);
  // JSON.stringify writes a whole pair as the character it is: what is escaped here is half of one.
  return json.includes('\\u') ? json.replace(escapes, (found) => (found.length > 2 ? '\\ufffd' : found)) : json;
}

/** Text for a `text` column. Half of a surrogate pair becomes U+FFFD on the wire by itself. */
export function toText(text: string): string {
  return text.replaceAll('\0', '\ufffd');
}
