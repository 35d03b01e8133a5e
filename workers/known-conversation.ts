import type { Store } from '../store/index.js';
import type { ConversationLine } from '../store/overview.js';
import { CommandFailure } from './command.js';
import { byDistance } from './settings/nearest.js';

/** The conversation that a person means, by name or id; else a failure that names the nearest ones. */
export async function knownConversation(store: Store, name: string): Promise<ConversationLine> {
  const known = await store.overview.conversation(name);
  if (!known) throw await unknownConversation(store, name);
  return known;
}

export async function unknownConversation(store: Store, name: string): Promise<CommandFailure> {
  const all = await store.overview.conversations();
  const names = all.map(({ id, channel, chat }) => (channel === 'terminal' && chat !== null ? chat : id));
  const near = byDistance(name, names).slice(0, 3);
  const remedy =
    near.length > 0 ? `The nearest are: ${near.join(', ')}. See durabot session ls.` : 'There is none yet.';
  return new CommandFailure(`There is no conversation "${name}". ${remedy}`);
}
