import type { Store } from '../store/index.js';

const mostTokens = 50_000;

/** The prompt with the last messages of a chat before it, for a question in a conversation of its own. */
export async function withContext(store: Store, chat: string, count: number, prompt: string): Promise<string> {
  const known = count > 0 ? await store.overview.conversation(chat) : null;
  if (!known) return prompt;
  const entries = await store.transcript.entries({ conversationId: known.id, turnId: '', maxTokens: mostTokens });
  const said = entries.flatMap(({ role, parts }) => {
    const text = parts.flatMap((part) => (part.kind === 'text' ? [part.text] : [])).join('');
    return text !== '' && (role === 'person' || role === 'assistant')
      ? [`${role === 'person' ? 'I' : 'You'}: ${text}`]
      : [];
  });
  const last = said.slice(-count);
  if (last.length === 0) return prompt;
  return `The last ${last.length} messages of our chat "${chat}", as context:\n\n${last.join('\n\n')}\n\nMy message now:\n\n${prompt}`;
}
