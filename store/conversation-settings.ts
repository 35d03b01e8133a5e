import type { StoreDeps } from './deps.js';

/** From its next turn on; a turn that runs keeps the model that it began with. What a message brings along wins over it. */
export async function setConversationModel({ pool }: StoreDeps, conversationId: string, model: string): Promise<void> {
  await pool.query(
    `update conversation set settings = settings || jsonb_build_object('model', $2::text) where id = $1`,
    [conversationId, model],
  );
}
