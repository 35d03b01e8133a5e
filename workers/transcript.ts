// A conversation's transcript as people and scripts read it.
import { renderMarkdown } from '../channels/terminal/markdown.js';
import { toPlainText } from '../channels/terminal/plain-text.js';
import type { Style } from '../channels/terminal/style.js';
import type { TranscriptEntry } from '../store/overview.js';
import { minuteIn } from './columns.js';

/** One message of `session show --json`: scripts rely on these names. */
export interface ShownMessage {
  /** Counted from 1 in the whole transcript. */
  seq: number;
  /** `note` and `notice` are durabot's own words: to the model, and to the person. */
  role: 'user' | 'assistant' | 'tool' | 'note' | 'notice';
  text: string;
  /** Ids are unique in the conversation, and a tool's result names the one that it answers. */
  toolCalls?: { id: string; name: string; arguments: string }[];
  toolCallId?: string;
  turn: string;
  at: string;
}

export function toShown({ role, parts, turnId, at }: TranscriptEntry, index: number): ShownMessage {
  const toolCalls = parts.flatMap((part) =>
    part.kind === 'call' ? [{ id: `${turnId}/${part.callId}`, name: part.tool, arguments: part.arguments }] : [],
  );
  const result = parts.find((part) => part.kind === 'result');
  return {
    seq: index + 1,
    role: role === 'person' ? 'user' : role,
    text: parts.flatMap((part) => (part.kind === 'call' ? [] : [part.text])).join(''),
    ...(toolCalls.length > 0 && { toolCalls }),
    ...(result && { toolCallId: `${turnId}/${result.callId}` }),
    turn: turnId,
    at,
  };
}

const resultLines = 6;

export function transcriptLines(messages: readonly ShownMessage[], style: Style, timeZone: string): string[] {
  const minute = minuteIn(timeZone);
  let turn = '';
  return messages.flatMap((message) => {
    const heading = message.turn === turn ? [] : ['', style('dim', `── turn ${message.turn}, ${minute(message.at)}`)];
    turn = message.turn;
    return [...heading, ...toLines(message, style)];
  });
}

function toLines({ role, text, toolCalls = [] }: ShownMessage, style: Style): string[] {
  const plain = toPlainText(text).trimEnd();
  switch (role) {
    case 'user':
      return [style('bold', `› ${plain.replaceAll('\n', '\n  ')}`)];
    case 'assistant':
      return [
        ...(plain ? [renderMarkdown(plain, style)] : []),
        ...toolCalls.map(({ name, arguments: args }) => style('dim', `· ${name} ${oneLine(args, 100)}`)),
      ];
    case 'tool':
      return [style('dim', firstLines(plain).replace(/^/gm, '  '))];
    case 'note':
    case 'notice':
      return [style('yellow', plain)];
    default:
      return role satisfies never;
  }
}

function firstLines(text: string): string {
  const lines = text.split('\n');
  const left = lines.length - resultLines;
  return left <= 0
    ? text
    : [...lines.slice(0, resultLines), `… ${left} more ${left === 1 ? 'line' : 'lines'}`].join('\n');
}

function oneLine(text: string, maxChars: number): string {
  const line = toPlainText(text).replace(/\s+/g, ' ');
  return line.length > maxChars ? `${line.slice(0, maxChars - 1)}…` : line;
}
