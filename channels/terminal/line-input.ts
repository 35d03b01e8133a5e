// What the person types, as whole messages: a line, several lines joined by a backslash or Alt+Enter, or a paste of many.
import type { Interface, Key } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

export interface LineInput {
  /** The lines of a message that is not complete yet. */
  lines(): readonly string[];
  /** Drops what is typed; false when there was nothing. */
  clear(): boolean;
  close(): void;
}

export interface LineInputOptions {
  readline: Interface;
  input: Readable;
  output: Writable;
  /** A line was entered, with the text as it stood in the edited row. */
  onEntered(line: string): void;
  /** The message is complete. */
  onMessage(text: string): void;
  /** The lines of an incomplete message have changed. */
  onLines(lines: readonly string[]): void;
}

const pasteOn = '\u001b[?2004h';
const pasteOff = '\u001b[?2004l';

export function createLineInput(options: LineInputOptions): LineInput {
  const { readline, input, output, onEntered, onMessage, onLines } = options;
  let lines: string[] = [];
  let pasting = false;
  const keep = (line: string) => {
    lines.push(line);
    onLines(lines);
  };

  readline.on('line', (line) => {
    onEntered(line);
    if (pasting) keep(line);
    else if (line.endsWith('\\')) keep(line.slice(0, -1));
    else {
      const text = [...lines, line].join('\n');
      lines = [];
      onLines(lines);
      onMessage(text);
    }
  });
  const onKey = (_text: string | undefined, key: Key) => {
    // The terminal marks a paste, so that its line ends do not send half of it.
    if (key.name === 'paste-start') pasting = true;
    if (key.name === 'paste-end') pasting = false;
    if (key.name === 'return' && key.meta) {
      keep(readline.line);
      eraseLine(readline);
    }
  };
  input.on('keypress', onKey);
  output.write(pasteOn);

  return {
    lines: () => lines,
    clear() {
      const hadText = readline.line !== '' || lines.length > 0;
      lines = [];
      onLines(lines);
      eraseLine(readline);
      return hadText;
    },
    close() {
      input.off('keypress', onKey);
      output.write(pasteOff);
    },
  };
}

function eraseLine(readline: Interface): void {
  readline.write(null, { ctrl: true, name: 'e' });
  readline.write(null, { ctrl: true, name: 'u' });
}
