import type { ConversationLine, TranscriptEntry } from '../../store/overview.js';
import { renderMarkdown } from './markdown.js';
import { toPlainText } from './plain-text.js';
import type { Style } from './style.js';

/** What is needed of the store. */
interface Transcripts {
  overview: { transcript(query: { conversationId: string; turnId: string; last: number }): Promise<TranscriptEntry[]> };
}

const mostEntries = 40;
const mostLines = 24;

/** What was said last, so that a person who comes back knows where they are: the question, and the answer unless it is still being made. */
export async function lastExchange(
  store: Transcripts,
  { id, activeTurnId, lastSeq }: ConversationLine,
  style: Style,
): Promise<string | undefined> {
  const turnId = activeTurnId ?? `${id}-${lastSeq}`;
  const entries = await store.overview.transcript({ conversationId: id, turnId, last: mostEntries });
  const textOf = (roles: readonly string[]) =>
    entries
      .findLast(({ role, parts }) => roles.includes(role) && parts.some((part) => part.kind === 'text'))
      ?.parts.flatMap((part) => (part.kind === 'text' ? [part.text] : []))
      .join('');
  const question = textOf(['person', 'note']);
  const answer = activeTurnId === null ? textOf(['assistant', 'notice']) : undefined;
  if (question === undefined && answer === undefined) return undefined;
  const lines = [
    ...(question ? [style('dim', `› ${firstLines(toPlainText(question), 3).replaceAll('\n', '\n  ')}`)] : []),
    ...(answer ? [firstLines(renderMarkdown(toPlainText(answer), style), mostLines)] : []),
  ];
  return lines.join('\n');
}

function firstLines(text: string, count: number): string {
  const lines = text.trimEnd().split('\n');
  return lines.length <= count ? lines.join('\n') : [...lines.slice(0, count), '…'].join('\n');
}
