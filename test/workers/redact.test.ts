import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { createRedactor } from '../../workers/redact.js';

interface Case {
  id: string;
  case: string;
  label: 'secret' | 'clean';
  text: string;
  secrets: string[];
}

const plain = (base64: string) => Buffer.from(base64, 'base64').toString('utf8');
const cases: Case[] = readFileSync('test/corpora/secrets/secrets_redaction.jsonl', 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line))
  .map((raw) => ({ ...raw, text: plain(raw.text_b64), secrets: (raw.secret_spans_b64 ?? []).map(plain) }));
const redact = createRedactor();

test.each(cases.filter(({ label }) => label === 'secret'))('$id: no secret of "$case" is left', ({ text, secrets }) => {
  expect(secrets.filter((secret) => redact(text).includes(secret))).toEqual([]);
});

// The other harmless cases have nearly the shape of a token, or are secrets that their project chose to allow: there a word too many goes.
test('ordinary text passes unchanged', () => {
  const clean = cases.filter(({ label }) => label === 'clean');
  const changed = clean.filter(({ text }) => redact(text) !== text);
  expect(clean.filter(({ case: name }) => name === 'authored').filter((one) => changed.includes(one))).toEqual([]);
  expect(changed.length).toBeLessThanOrEqual(22);
});

test('a value of this installation goes whatever it looks like', () => {
  expect(createRedactor(['correct horse'])('it said "correct horse" twice: correct horse')).toBe(
    'it said "[redacted]" twice: [redacted]',
  );
});

test('an address keeps its host and loses its password', () => {
  expect(redact('cannot reach postgresql://durabot:s3cret@db.example:5432/x')).toBe(
    'cannot reach postgresql://durabot:[redacted]@db.example:5432/x',
  );
});

test('a short value is not taken out of every word', () => {
  expect(createRedactor(['on'])('one onion')).toBe('one onion');
});
