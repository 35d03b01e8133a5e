// What was typed, for the arrow keys of the next time. Readable by its owner only: people type secrets.
import { appendFileSync, chmodSync, readFileSync, renameSync, writeFileSync } from 'node:fs';

const keptLines = 1_000;

export interface HistoryFile {
  /** Newest first, as readline wants it. */
  lines: string[];
  add(line: string): void;
}

/** A history that cannot be read or written is none: the chat goes on without it. */
export function openHistoryFile(path: string): HistoryFile {
  const lines = readLines(path);
  if (lines.length > keptLines * 2) replace(path, lines.slice(-keptLines));
  return {
    lines: lines.slice(-keptLines).reverse(),
    add(line) {
      if (line.trim() === '') return;
      try {
        appendFileSync(path, `${line}\n`, { mode: 0o600 });
      } catch {
        // A full or read-only disk must not end a chat.
      }
    },
  };
}

function readLines(path: string): string[] {
  try {
    const lines = readFileSync(path, 'utf8').split('\n').filter(Boolean);
    chmodSync(path, 0o600);
    return lines;
  } catch {
    return []; // the first time there is none
  }
}

function replace(path: string, lines: readonly string[]): void {
  try {
    writeFileSync(`${path}.new`, `${lines.join('\n')}\n`, { mode: 0o600 });
    renameSync(`${path}.new`, path);
  } catch {
    // As above.
  }
}
