// One turn on the screen: its text as it is written, a line for each call, and how it ended.
import type { CallLine, TurnReport } from '../../store/overview.js';
import { renderMarkdown, wholeBlocks } from './markdown.js';
import { toPlainText } from './plain-text.js';
import type { Screen } from './screen.js';
import type { Style } from './style.js';
import { tailRows } from './text-width.js';

export interface TurnView {
  text(piece: { step: number; from: number; text: string; anew: boolean }): void;
  call(call: { callId: string; summary: string; state: string }): void;
  /** The same from the rows, for what was not heard. Repeatable. */
  calls(calls: readonly CallLine[]): void;
  end(report: TurnReport): void;
  /** The lines that are still changing. */
  liveLines(): string[];
}

export interface TurnViewOptions {
  screen: Pick<Screen, 'print' | 'columns' | 'rows'>;
  style: Style;
  /** Something that is live has changed. */
  onChange(): void;
}

const mostRunningCalls = 6;

export function createTurnView({ screen, style, onChange }: TurnViewOptions, calls: readonly CallLine[]): TurnView {
  let step = 0;
  /** All text of this step, and how much of it stands on the screen for good. */
  let written = '';
  let printed = 0;
  const running = new Map<string, string>();
  const ended = new Set<string>();
  let afterCall = false;
  seeCalls(calls);

  function printText(text: string): void {
    const plain = toPlainText(text);
    if (plain.trim() === '') return;
    screen.print(`${afterCall ? '\n' : ''}${renderMarkdown(plain.trimEnd(), style)}\n`);
    afterCall = false;
  }

  /** Whole blocks move up and stay; the last one may still change. */
  function settle(all: boolean): void {
    const rest = written.slice(printed);
    const length = all ? rest.length : wholeBlocks(rest);
    if (length === 0) return;
    printText(rest.slice(0, length));
    printed += length;
  }

  function seeCalls(rows: readonly { callId: string; summary: string; state: string }[]): void {
    for (const { callId, summary, state } of rows) {
      if (ended.has(callId)) continue;
      if (state === 'planned' || state === 'started') running.set(callId, running.get(callId) || summary);
      else {
        ended.add(callId);
        printCall(running.get(callId) || summary, state);
        running.delete(callId);
      }
    }
  }

  function printCall(summary: string, state: string): void {
    afterCall = true;
    const [mark, colour, remark] = outcomes[state] ?? outcomes.unknown ?? ['?', 'yellow', ''];
    screen.print(
      `${style(colour, mark)} ${style('dim', toPlainText(summary))}${remark && style(colour, `: ${remark}`)}`,
    );
  }

  return {
    text({ step: now, from, text, anew }) {
      if (now !== step) {
        settle(true);
        written = '';
        printed = 0;
        step = now;
      }
      if (anew) {
        if (printed > 0) screen.print(style('dim', '(the model broke off; it begins again)'));
        written = '';
        printed = 0;
      }
      written = written.slice(0, from) + text;
      settle(false);
      onChange();
    },
    call(call) {
      settle(true); // a call ends the text of its step
      seeCalls([call]);
      onChange();
    },
    calls(rows) {
      seeCalls(rows);
      onChange();
    },
    end({ answer, notice, state }) {
      running.clear();
      // What was not heard in time stands in the store.
      if (state === 'answered' || state === 'limit') {
        if (!answer.startsWith(written.slice(0, printed))) {
          screen.print(style('dim', '(the whole answer)'));
          printed = 0;
        }
        written = answer;
      }
      settle(true);
      if (notice) screen.print(`${style(state === 'failed' ? 'red' : 'yellow', toPlainText(notice))}\n`);
      else if (state === 'limit') screen.print(`${style('yellow', 'The turn reached one of its limits.')}\n`);
      onChange();
    },
    liveLines() {
      const rest = toPlainText(written.slice(printed)).trim();
      const room = Math.max(3, screen.rows - mostRunningCalls - 6);
      const text = rest === '' ? [] : tailRows(rest, screen.columns - 1, room);
      const summaries = [...running.values()].slice(0, mostRunningCalls);
      const more = running.size - summaries.length;
      return [
        ...text,
        ...(text.length > 0 && summaries.length > 0 ? [''] : []),
        ...summaries.map((summary) =>
          style('dim', `· ${tailRows(toPlainText(summary), screen.columns - 3, 1)[0] ?? ''}`),
        ),
        ...(more > 0 ? [style('dim', `· and ${more} more`)] : []),
      ];
    },
  };
}

type Colour = 'green' | 'red' | 'yellow';

const outcomes: Record<string, [mark: string, colour: Colour, remark: string]> = {
  done: ['✓', 'green', ''],
  failed: ['✗', 'red', 'failed'],
  unknown: ['?', 'yellow', 'may have happened'],
  'not run': ['–', 'yellow', 'not run'],
  notice: ['!', 'yellow', ''],
};
