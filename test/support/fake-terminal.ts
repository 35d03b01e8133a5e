// A terminal without a screen: what is written to it moves a cursor over a grid of characters, as far as durabot's output needs that.
import { PassThrough, Writable } from 'node:stream';
import type { ReadStream, WriteStream } from 'node:tty';

export interface FakeTerminal {
  input: ReadStream;
  output: WriteStream;
  /** What a person sees, without blanks at line ends, and what has scrolled away above it. */
  screen(): string;
  /** Types text; `\r` is Enter. */
  type(keys: string): void;
  /** Resolves once the screen holds the text, or something that matches. */
  shows(text: string | RegExp): Promise<void>;
}

/** Only so that a failure shows what stood there instead. */
const givenUpAfterMs = 45_000;

const esc = '\\u001b';
const controlOrChar = new RegExp(`${esc}\\[([0-9;?]*)([A-Za-z])|([^])`, 'gu');

export function createFakeTerminal({ columns = 80, rows = 20 } = {}): FakeTerminal {
  const lines: string[][] = [[]];
  let top = 0;
  let row = 0;
  let column = 0;
  const watchers = new Set<() => void>();

  const line = () => {
    while (lines.length <= row) lines.push([]);
    return lines[row] ?? [];
  };
  const nextRow = () => {
    row += 1;
    line();
    top = Math.max(top, row - rows + 1);
  };
  function put(char: string): void {
    if (column >= columns) {
      column = 0;
      nextRow();
    }
    const cells = line();
    while (cells.length < column) cells.push(' ');
    cells[column] = char;
    column += 1;
  }
  function control(parameters: string, final: string): void {
    const count = Number(parameters || 1);
    if (final === 'A') row = Math.max(top, row - count);
    else if (final === 'B') row += count;
    else if (final === 'C') column += count;
    else if (final === 'D') column = Math.max(0, column - count);
    else if (final === 'G') column = count - 1;
    else if (final === 'J') {
      line().length = Math.min(line().length, column);
      lines.length = row + 1;
    } else if (final === 'K') line().length = Math.min(line().length, column);
    else if (!'mhl'.includes(final)) throw new Error(`The fake terminal does not know CSI ${parameters}${final}`);
  }
  function write(text: string): void {
    for (const [, parameters = '', final, char] of text.matchAll(controlOrChar)) {
      if (final !== undefined) control(parameters, final);
      else if (char === '\n') {
        nextRow();
        column = 0;
      } else if (char === '\r') column = 0;
      else if (char !== undefined) put(char);
    }
    for (const watcher of [...watchers]) watcher();
  }

  const output = new Writable({
    write(chunk: Buffer, _encoding, done) {
      write(chunk.toString('utf8'));
      done();
    },
  });
  const input = new PassThrough();
  const screen = () =>
    lines
      .map((cells) => cells.join('').trimEnd())
      .join('\n')
      .trimEnd();
  return {
    input: Object.assign(input, { isTTY: true, setRawMode: () => input }) as unknown as ReadStream,
    output: Object.assign(output, { isTTY: true, columns, rows }) as unknown as WriteStream,
    screen,
    type: (keys) => void input.write(keys),
    shows: (text) =>
      new Promise((resolve, reject) => {
        const isShown = () => (typeof text === 'string' ? screen().includes(text) : text.test(screen()));
        const deadline = setTimeout(() => {
          watchers.delete(watcher);
          reject(new Error(`The screen never showed ${JSON.stringify(String(text))}:\n${screen()}`));
        }, givenUpAfterMs);
        const watcher = () => {
          if (!isShown()) return;
          clearTimeout(deadline);
          watchers.delete(watcher);
          resolve();
        };
        watchers.add(watcher);
        watcher();
      }),
  };
}
