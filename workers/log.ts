// The log of all processes of a home: one JSON line for each event in logs/durabot.log, readable by its owner only.
// Written at once, without a thread in between, so that the last lines before a hard exit are there.
import { closeSync, fstatSync, mkdirSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Logger, pino } from 'pino';
import { isMissing } from './local-stack/files.js';
import type { Redact } from './redact.js';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type Log = Pick<Logger, LogLevel>;

const maxBytes = 10_000_000;
const keptFiles = 5;

export interface LogOptions {
  home: string;
  level: LogLevel;
  redact: Redact;
  /** Which process writes: `serve`, `worker`, `run`. */
  process: string;
  /** Size at which a file is put aside; tests make it small. */
  rotateAtBytes?: number;
}

export interface OpenLog {
  log: Log;
  close(): void;
}

export function logPath(home: string): string {
  return join(home, 'logs', 'durabot.log');
}

/** Several processes may hold the same log open; whoever finds it full puts it aside, the others follow. */
export function openLog({ home, level, redact, process: name, rotateAtBytes = maxBytes }: LogOptions): OpenLog {
  const file = new RotatingFile(logPath(home), rotateAtBytes);
  const stream = { write: (line: string) => file.write(redactLine(line, redact)) };
  const log = pino(
    { level, base: { pid: process.pid, process: name }, timestamp: pino.stdTimeFunctions.isoTime },
    stream,
  );
  return { log, close: () => file.close() };
}

// By value and not on the whole line: a pattern that runs to the end of its text would take the brackets along.
function redactLine(line: string, redact: Redact): string {
  try {
    return `${JSON.stringify(redactValues(JSON.parse(line), redact))}\n`;
  } catch {
    return `${redact(line.trimEnd())}\n`;
  }
}

function redactValues(value: unknown, redact: Redact): unknown {
  if (typeof value === 'string') return redact(value);
  if (Array.isArray(value)) return value.map((item) => redactValues(item, redact));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, redactValues(inner, redact)]));
}

class RotatingFile {
  readonly #path: string;
  readonly #maxBytes: number;
  #fd: number;

  constructor(path: string, maxBytesOfFile: number) {
    this.#path = path;
    this.#maxBytes = maxBytesOfFile;
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    this.#fd = this.#open();
  }

  write(line: string): void {
    if (this.#fd === -1) return; // closed: a straggler of a process that ends
    this.#followOthers();
    if (fstatSync(this.#fd).size + line.length > this.#maxBytes) this.#rotate();
    writeSync(this.#fd, line);
  }

  close(): void {
    if (this.#fd !== -1) closeSync(this.#fd);
    this.#fd = -1;
  }

  #open(): number {
    return openSync(this.#path, 'a', 0o600);
  }

  #reopen(): void {
    closeSync(this.#fd);
    this.#fd = this.#open();
  }

  // Another process may have put our file aside, or a person may have deleted it.
  #followOthers(): void {
    try {
      if (statSync(this.#path).ino !== fstatSync(this.#fd).ino) this.#reopen();
    } catch (error) {
      if (!isMissing(error)) throw error;
      this.#reopen();
    }
  }

  #rotate(): void {
    rmSync(`${this.#path}.${keptFiles - 1}`, { force: true });
    for (let index = keptFiles - 2; index >= 1; index--)
      renameIfThere(`${this.#path}.${index}`, `${this.#path}.${index + 1}`);
    renameIfThere(this.#path, `${this.#path}.1`);
    this.#reopen();
  }
}

// Two processes may rotate in the same moment; then the second finds fewer files, which is no harm.
function renameIfThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}
