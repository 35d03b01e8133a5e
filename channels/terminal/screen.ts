// A terminal in three parts: what was said, which stays; below it a few live lines, which are replaced; and at the bottom the line that
// the person edits, which node:readline owns. Whoever writes goes through here, or the parts overwrite each other.
import { clearScreenDown, cursorTo, type Interface, moveCursor } from 'node:readline';
import type { Writable } from 'node:stream';
import { rowsOf } from './text-width.js';

export interface Terminal extends Writable {
  columns: number;
  rows: number;
}

export interface Screen {
  readonly columns: number;
  readonly rows: number;
  /** Stays on the screen, above everything live. */
  print(text: string): void;
  /** Replaces the live lines. Each must fit into one row. */
  setLive(lines: readonly string[]): void;
  /** The person has entered a line: readline has moved to the next row, and what was live stays above it unless it is taken away. */
  entered(line: string): void;
  /** Takes the live lines away and leaves the cursor at the beginning of a row. */
  close(): void;
}

// Several changes of a moment become one.
const drawMs = 25;

export function createScreen(readline: Interface, output: Terminal): Screen {
  let live: readonly string[] = [];
  let wanted: readonly string[] = [];
  let pending = '';
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  function eraseFrom(rowsAbove: number): void {
    moveCursor(output, 0, -rowsAbove);
    cursorTo(output, 0);
    clearScreenDown(output);
    live = [];
  }

  function draw(): void {
    timer = undefined;
    if (closed) return;
    output.cork(); // one write: no flicker
    eraseFrom(live.length + readline.getCursorPos().rows);
    output.write(pending);
    pending = '';
    live = wanted;
    for (const line of live) output.write(`${line}\n`);
    drawPrompt(readline);
    output.uncork();
  }

  const soon = () => {
    timer ??= setTimeout(draw, drawMs);
  };

  return {
    get columns() {
      return output.columns || 80;
    },
    get rows() {
      return output.rows || 24;
    },
    print(text) {
      pending += `${text}\n`;
      soon();
    },
    setLive(lines) {
      if (lines.length === wanted.length && lines.every((line, index) => line === wanted[index])) return;
      wanted = lines;
      soon();
    },
    entered(line) {
      clearTimeout(timer);
      timer = undefined;
      output.cork();
      eraseFrom(live.length + rowsOf(readline.getPrompt() + line, output.columns || 80));
      output.write(pending);
      pending = '';
      output.uncork();
    },
    close() {
      clearTimeout(timer);
      if (closed) return;
      closed = true;
      eraseFrom(live.length + readline.getCursorPos().rows);
      output.write(pending);
    },
  };
}

/** Readline goes up by the rows that it drew last: they are gone, and it begins at this row. */
function drawPrompt(readline: Interface): void {
  (readline as unknown as { prevRows: number }).prevRows = 0;
  readline.prompt(true);
}
