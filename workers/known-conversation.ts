import { type ConversationLine, findConversation, listConversations } from '../store/overview.js';
import type { Pool } from '../store/pool.js';
import { CommandFailure } from './command.js';
import { byDistance } from './settings/nearest.js';

/** The conversation that a person means, by name or id; else a failure that names the nearest ones. */
export async function knownConversation(reader: { pool: Pool }, name: string): Promise<ConversationLine> {
  const known = await findConversation(reader, name);
  if (!known) throw await unknownConversation(reader, name);
  return known;
}

export async function unknownConversation(reader: { pool: Pool }, name: string): Promise<CommandFailure> {
  const near = byDistance(name, (await listConversations(reader)).map(nameOf)).slice(0, 3);
  const remedy =
    near.length > 0 ? `The nearest are: ${near.join(', ')}. See durabot session ls.` : 'There is none yet.';
  return new CommandFailure(`There is no conversation "${name}". ${remedy}`);
}

/** What a person types for it: the name of a terminal chat, else the id. */
export function nameOf({ id, channel, chat }: ConversationLine): string {
  return channel === 'terminal' && chat !== null ? chat : id;
}
