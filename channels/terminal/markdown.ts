// Markdown as a terminal shows it: plain and readable, with few colours. What it does not know is shown as it was written.
import { lexer, type Token, type Tokens } from 'marked';
import type { Style } from './style.js';
import { widthOf } from './text-width.js';

export function renderMarkdown(text: string, style: Style): string {
  return renderBlocks(lexer(text), style);
}

/** How much of a text that is still being written is whole blocks; what follows may change with the next word. */
export function wholeBlocks(text: string): number {
  // Half a line misleads: "  -" ends a list, "  - nested" goes on with it.
  const tokens = lexer(text.slice(0, text.lastIndexOf('\n') + 1));
  const last = tokens.findLastIndex(({ type }) => type !== 'space');
  const isBehindIt = last < tokens.length - 1;
  const mayGoOn = ['list', 'blockquote'].includes(tokens[last]?.type ?? '');
  const whole = isBehindIt && !mayGoOn ? tokens : tokens.slice(0, Math.max(last, 0));
  return whole.reduce((length, token) => length + token.raw.length, 0);
}

// One blank line where the writer left any, else none. The lexer gives blank lines to the block before them, or a token of their own.
function renderBlocks(tokens: readonly Token[], style: Style): string {
  let text = '';
  let gap = '';
  for (const token of tokens) {
    if (token.type === 'space') {
      gap &&= '\n\n';
      continue;
    }
    text += gap + renderBlock(token as Tokens.Generic, style);
    gap = /\n\s*\n$/.test(token.raw) ? '\n\n' : '\n';
  }
  return text;
}

// The lexer's tokens are a union that plugins may widen, so its members are told apart by name.
function renderBlock(token: Tokens.Generic, style: Style): string {
  switch (token.type) {
    case 'heading':
      return style('bold', inline(token.tokens, style));
    case 'paragraph':
      return inline(token.tokens, style);
    case 'text':
      return token.tokens ? inline(token.tokens, style) : String(token.text);
    case 'code':
      return indent(style('cyan', String(token.text)), '    ');
    case 'blockquote':
      return indent(renderBlocks(token.tokens ?? [], style), style('dim', '│ '));
    case 'list':
      return list(token as Tokens.List, style);
    case 'table':
      return table(token as Tokens.Table, style);
    case 'hr':
      return style('dim', '─'.repeat(20));
    default:
      return token.raw.trimEnd();
  }
}

function list({ items, ordered, start }: Tokens.List, style: Style): string {
  return items
    .map((item, index) => {
      const number = `${Number(start || 1) + index}. `;
      const box = item.task ? (item.checked ? '[x] ' : '[ ] ') : '';
      const mark = `${ordered ? number : '• '}${box}`;
      const body = renderBlocks(
        item.tokens.filter(({ type }) => type !== 'checkbox'),
        style,
      );
      return mark + indent(body, ' '.repeat(mark.length)).slice(mark.length);
    })
    .join('\n');
}

function table({ header, rows }: Tokens.Table, style: Style): string {
  const cells = [header, ...rows].map((row) => row.map((cell) => inline(cell.tokens, style)));
  const widths = header.map((_, column) => Math.max(...cells.map((row) => widthOf(row[column] ?? ''))));
  const lines = cells.map((row) =>
    row
      .map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - widthOf(cell)))
      .join('  ')
      .trimEnd(),
  );
  const [top = '', ...rest] = lines;
  return [style('bold', top), style('dim', widths.map((width) => '─'.repeat(width)).join('  ')), ...rest].join('\n');
}

function inline(tokens: readonly Token[] | undefined, style: Style): string {
  return (tokens ?? []).map((token) => renderInline(token as Tokens.Generic, style)).join('');
}

function renderInline(token: Tokens.Generic, style: Style): string {
  switch (token.type) {
    case 'strong':
      return style('bold', inline(token.tokens, style));
    case 'em':
      return style('italic', inline(token.tokens, style));
    case 'del':
      return style('strikethrough', inline(token.tokens, style));
    case 'codespan':
      return style('cyan', String(token.text));
    case 'link': {
      const words = inline(token.tokens, style);
      return words === token.href ? words : `${words} (${token.href})`;
    }
    case 'image':
      return `${token.text || 'image'} (${token.href})`;
    case 'br':
      return '\n';
    case 'escape':
      return String(token.text);
    case 'text':
      return token.tokens ? inline(token.tokens, style) : token.raw;
    default:
      return token.raw;
  }
}

function indent(text: string, by: string): string {
  return text
    .split('\n')
    .map((line) => by + line)
    .join('\n');
}
