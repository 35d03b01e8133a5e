// One stream of a command's output in one file that never grows beyond a bound: the head as it came, then a ring that holds
// the tail. Readable at any time, also after its writer was killed, because the count of bytes stands in the file itself.
import { openSync, readFileSync, writeSync } from 'node:fs';

const countBytes = 8;
export const headBytes = 128 * 1024;
export const tailBytes = 128 * 1024;

export class KeptOutput {
  #fd;
  #total = 0;
  #full = false;

  constructor(path) {
    this.#fd = openSync(path, 'wx', 0o600);
  }

  /** Bytes that came, kept or not. */
  get total() {
    return this.#total;
  }

  write(chunk) {
    const before = this.#total;
    this.#total += chunk.length;
    if (this.#full) return;
    try {
      this.#keep(chunk, before);
      this.#writeCount();
    } catch {
      this.#full = true; // the disk is full: the command goes on, what was kept so far stays readable
    }
  }

  #keep(chunk, before) {
    const toHead = Math.max(0, Math.min(chunk.length, headBytes - before));
    if (toHead > 0) this.#put(chunk.subarray(0, toHead), before);
    const from = Math.max(toHead, chunk.length - tailBytes); // what the ring would overwrite at once is not written
    if (from === chunk.length) return;
    const rest = chunk.subarray(from);
    const start = (before + from - headBytes) % tailBytes;
    const beforeWrap = Math.min(rest.length, tailBytes - start);
    this.#put(rest.subarray(0, beforeWrap), headBytes + start);
    if (beforeWrap < rest.length) this.#put(rest.subarray(beforeWrap), headBytes);
  }

  #put(bytes, at) {
    writeSync(this.#fd, bytes, 0, bytes.length, countBytes + at);
  }

  #writeCount() {
    const count = Buffer.alloc(countBytes);
    count.writeBigUInt64LE(BigInt(this.#total));
    writeSync(this.#fd, count, 0, countBytes, 0);
  }
}

/** What is left of a stream: all of it, or its head and its tail with the count of bytes between them. A missing file is an empty stream. */
export function readKeptOutput(path) {
  const file = readIfThere(path);
  if (file.length < countBytes) return { total: 0, head: Buffer.alloc(0), omitted: 0, tail: Buffer.alloc(0) };
  const total = Number(file.readBigUInt64LE(0));
  const kept = file.subarray(countBytes);
  const ringed = total - headBytes;
  if (ringed <= tailBytes) return { total, head: kept.subarray(0, total), omitted: 0, tail: Buffer.alloc(0) };
  const ring = kept.subarray(headBytes, headBytes + tailBytes);
  const start = ringed % tailBytes;
  return {
    total,
    head: kept.subarray(0, headBytes),
    omitted: ringed - tailBytes,
    tail: Buffer.concat([ring.subarray(start), ring.subarray(0, start)]),
  };
}

function readIfThere(path) {
  try {
    return readFileSync(path);
  } catch (error) {
    if (error.code === 'ENOENT') return Buffer.alloc(0);
    throw error;
  }
}
