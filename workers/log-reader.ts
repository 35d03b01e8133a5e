// Reads the log for `durabot logs`: its last lines, and what comes after, across rotations.
import { type FileHandle, open, stat } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { isMissing } from './local-stack/files.js';

const chunkBytes = 64 * 1024;
const lookAgainMs = 200;

/** The last `count` lines, oldest first; undefined when there is no log yet. */
export async function lastLines(path: string, count: number): Promise<string[] | undefined> {
  const file = await openIfThere(path);
  if (!file) return undefined;
  try {
    let position = (await file.stat()).size;
    let text = '';
    // From the end, until there are enough lines: a log of 10 MB is not read for its last fifty.
    while (position > 0 && text.split('\n').length <= count + 1) {
      const length = Math.min(chunkBytes, position);
      position -= length;
      const { buffer } = await file.read(Buffer.alloc(length), 0, length, position);
      text = buffer.toString('latin1') + text;
    }
    const lines = Buffer.from(text, 'latin1').toString('utf8').split('\n').filter(Boolean);
    return count === 0 ? [] : lines.slice(-count);
  } finally {
    await file.close();
  }
}

/**
 * Hands over each line written from now on, within a second, until `signal` aborts. A file that was put aside is read to
 * its end before the new one is begun.
 */
export async function followLines(path: string, onLine: (line: string) => void, signal: AbortSignal): Promise<void> {
  let file = await openIfThere(path);
  let position = file ? (await file.stat()).size : 0;
  // Whole lines only: the end of the file may be half of one that is just being written.
  const take = async (source: FileHandle) => {
    const bytes = await readFrom(source, position);
    const whole = bytes.subarray(0, bytes.lastIndexOf(0x0a) + 1);
    position += whole.length;
    whole.toString('utf8').split('\n').filter(Boolean).forEach(onLine);
  };
  try {
    while (!signal.aborted) {
      if (file) await take(file);
      const current = await stat(path).catch(() => undefined);
      if (current && (!file || current.ino !== (await file.stat()).ino)) {
        if (file) await take(file); // what came between our reading and the rotation
        await file?.close();
        file = await openIfThere(path);
        position = 0;
        continue;
      }
      await pause(lookAgainMs, undefined, { signal }).catch(() => undefined);
    }
  } finally {
    await file?.close();
  }
}

async function readFrom(file: FileHandle, position: number): Promise<Buffer> {
  const length = (await file.stat()).size - position;
  if (length <= 0) return Buffer.alloc(0);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position);
  return buffer.subarray(0, bytesRead);
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
