// The oracle's own file: what the world saw, one line of JSON each, written before the product is told. It lies outside the blast
// radius, so it decides what was acknowledged, bought, done and shown, whatever the product believes.
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';

/** The system's monotonic clock: the same for all processes of this machine, unmoved by changes of the time of day. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

export type Event =
  /** A person wrote. The same number again is a second delivery of the same message. */
  | { kind: 'posted'; number: number; channel: string; chat: string; from: string; text: string; command?: 'stop' }
  | { kind: 'delivered'; channel: string; numbers: number[] }
  /** The product asked for what comes after these: they are off the platform's hands. */
  | { kind: 'acknowledged'; channel: string; numbers: number[] }
  /** A model request. `turn` is the first number that it answers; a step that is asked again has the same name. */
  | { kind: 'asked'; request: number; turn: string; step: number; numbers: string[] }
  | { kind: 'asked ended'; request: number; turn: string; how: 'answered' | 'aborted' | 'cut' }
  /** A tool took effect. `key` is the ledger's, `name` what the model called it. */
  | { kind: 'effect'; id: number; tool: string; key: string; name: string; text: string; folded: boolean }
  | { kind: 'effect ended'; id: number; name: string; how: 'answered' | 'aborted' }
  /** Visible from now on, also when the answer never arrives. */
  | { kind: 'sent'; id: string; channel: string; chat: string; key: string; text: string; repeat: boolean }
  | { kind: 'looked'; chat: string; key: string; found: boolean }
  | { kind: 'removed'; id: string };

export type Line = Event & { at: number; wall: number };

export type Write = (event: Event) => void;

/** `writeSync` hands the line to the kernel: what this process has told nobody yet stands in the file already. */
export function openJournal(path: string): { write: Write; close(): void } {
  const file = openSync(path, 'a');
  return {
    write: (event) => void writeSync(file, `${JSON.stringify({ ...event, at: monotonicMs(), wall: Date.now() })}\n`),
    close: () => closeSync(file),
  };
}

/** The whole lines from `offset` on, and where the next reading begins. */
export function readJournal(path: string, offset = 0): { lines: Line[]; offset: number } {
  const bytes = readFileSync(path).subarray(offset);
  const whole = bytes.subarray(0, bytes.lastIndexOf('\n') + 1);
  const lines = whole
    .toString('utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Line);
  return { lines, offset: offset + whole.length };
}
