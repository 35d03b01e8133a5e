// Intake: a message or command enters our keeping in one transaction. What it decides, it decides under the conversation's lock.
import { claimNext, findClaimed } from './claims.js';
import type { StoreDeps } from './deps.js';
import { insertCommandReply } from './outbox.js';
import type { Client } from './pool.js';
import type { ClaimedTurn, StopTarget, TurnSettings } from './rows.js';
import { markConversation } from './stop.js';
import { toJson, toText } from './stored-text.js';
import { inTransaction } from './transaction.js';

/** What a channel hands in. The address is verified by the platform; a display name decides nothing. */
export interface Incoming {
  channel: string;
  /** Our bot's id on that platform, `local` in the terminal. */
  account: string;
  chat: string;
  thread?: string;
  /** Unique in (channel, account): the platform's message id, or a UUID of the client that is kept for its retries. */
  externalId: string;
  externalUserId: string;
  /** Shown to the model and in transcripts. */
  sender?: string;
  text: string;
  settings?: TurnSettings;
  /** The run begins with a sleep of this length (albums). */
  delayMs?: number;
  /** `/stop` stops the active turn and the conversation's subagents; `/new` does so, too, and begins the context anew. */
  command?: 'stop' | 'new';
}

/** What a command did, fixed in its transaction and kept with it. */
export interface Acted {
  stopped: StopTarget[];
  reply: string;
}

export interface Accepted {
  conversationId: string;
  inboxId: string;
  redelivered: boolean;
  /** The turn this message belongs to; null while it waits. */
  turnId: string | null;
  /** Runs to be started now that the transaction has committed. */
  claimed: ClaimedTurn[];
  acted: Acted | null;
  /** Where the answer to a command waits to be sent; null where nothing waits. */
  replyAt: string | null;
}

/**
 * Once this resolves, a message belongs to one turn or waits for it, a command has chosen what it acts on, and the platform may be
 * acknowledged. Retry: a redelivery finds the first row and changes nothing; it brings back what is still to be started or stopped.
 */
export function accept(deps: StoreDeps, incoming: Incoming): Promise<Accepted> {
  return inTransaction(
    deps,
    async (client) => {
      const place = await lockPlace(client, incoming);
      const row = await insertRow(client, deps, incoming, place);
      if (!row) return redelivered(client, deps, incoming);
      const accepted = { conversationId: place.conversationId, inboxId: row.id, redelivered: false };
      if (incoming.command) {
        const { claimed, acted } = await actOn(client, deps, incoming, place, row.id);
        return { ...accepted, turnId: null, claimed, acted, replyAt: waitsAt(deps, incoming, place.addressId) };
      }
      const claimed = place.active ? null : await claimNext(client, deps, place.conversationId);
      return {
        ...accepted,
        turnId: claimed?.turnId ?? null,
        claimed: claimed ? [claimed] : [],
        acted: null,
        replyAt: null,
      };
    },
    { points: ['intake.commit'] },
  );
}

/** The conversation of an address, locked: the order of positions is the order of commits. */
interface Place {
  addressId: string;
  conversationId: string;
  personId: string;
  active: string | null;
  position: string;
}

async function lockPlace(client: Client, incoming: Incoming): Promise<Place> {
  const known = await lockKnown(client, incoming);
  if (known) return known;
  // Made before the lock is taken, and one after the other: two first messages of one chat, or of one person, make one of each.
  await makePlace(client, incoming);
  await makePerson(client, incoming);
  const made = await lockKnown(client, incoming);
  if (!made) throw new Error('the conversation was deleted while its message arrived');
  return made;
}

async function lockKnown(client: Client, incoming: Incoming): Promise<Place | undefined> {
  const { channel, account, chat, thread = '', externalUserId } = incoming;
  const { rows } = await client.query<Place>({
    name: 'lock-place',
    text: `select a.id as "addressId", c.id as "conversationId", p.person_id as "personId", c.active_turn as active,
        c.next_position as position
      from address a join conversation c on c.id = a.conversation_id
        join account_person p on p.channel = $1 and p.account = $2 and p.external_user_id = $5
      where a.channel = $1 and a.account = $2 and a.chat = $3 and a.thread = $4 for no key update of c`,
    values: [channel, account, chat, thread, externalUserId],
  });
  return rows[0];
}

async function makePlace(client: Client, { channel, account, chat, thread = '', text }: Incoming): Promise<void> {
  const place = [channel, account, chat, thread];
  await lockName(client, ['address', ...place]);
  await client.query(
    `with c as (
        insert into conversation (kind, title) select 'chat', $5 where not exists (
          select from address where channel = $1 and account = $2 and chat = $3 and thread = $4) returning id
      ) insert into address (channel, account, chat, thread, conversation_id) select $1, $2, $3, $4, c.id from c`,
    [...place, toTitle(text)],
  );
}

async function makePerson(client: Client, { channel, account, externalUserId }: Incoming): Promise<void> {
  const person = [channel, account, externalUserId];
  await lockName(client, ['person', ...person]);
  await client.query(
    `with p as (
        insert into person (role) select 'guest' where not exists (
          select from account_person where channel = $1 and account = $2 and external_user_id = $3) returning id
      ) insert into account_person (channel, account, external_user_id, person_id) select $1, $2, $3, p.id from p`,
    person,
  );
}

async function lockName(client: Client, parts: string[]): Promise<void> {
  await client.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [parts.join('\n')]);
}

function toTitle(text: string): string {
  const line = toText(text).trim().split('\n')[0] ?? '';
  return line.length > 60 ? `${line.slice(0, 59)}…` : line;
}

/** Null for a redelivery. */
async function insertRow(
  client: Client,
  deps: StoreDeps,
  incoming: Incoming,
  place: Place,
): Promise<{ id: string } | null> {
  const { text, sender, delayMs } = incoming;
  const { rows } = await client.query<{ id: string }>({
    name: 'insert-inbox',
    text: `with added as (
        insert into inbox (channel, account, external_id, kind, person_id, address_id, conversation_id, position, body, settings)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        on conflict on constraint a_message_is_kept_once do nothing returning id
      ), counted as (
        update conversation set next_position = next_position + 1, last_activity_at = now() where id = $7 and exists (select from added)
      ) select id from added`,
    values: [
      incoming.channel,
      incoming.account,
      incoming.externalId,
      incoming.command ? 'command' : 'message',
      place.personId,
      place.addressId,
      place.conversationId,
      place.position,
      toJson({ text, sender: sender ?? null, delayMs, tokens: deps.estimateTokens(text) }),
      toJson(incoming.settings ?? {}),
    ],
  });
  return rows[0] ?? null;
}

// What stands in the transcript is visible there.
function waitsAt({ transcriptChannels }: StoreDeps, { channel }: Incoming, addressId: string | null): string | null {
  return transcriptChannels.includes(channel) ? null : addressId;
}

async function redelivered(client: Client, deps: StoreDeps, incoming: Incoming): Promise<Accepted> {
  const { channel, account, externalId } = incoming;
  const { rows } = await client.query<{
    id: string;
    conversationId: string;
    turnId: string | null;
    addressId: string | null;
    acted: Acted | null;
  }>(
    `select id, conversation_id as "conversationId", turn_id as "turnId", address_id as "addressId", acted from inbox
      where channel = $1 and account = $2 and external_id = $3`,
    [channel, account, externalId],
  );
  const row = rows[0];
  if (!row) throw new Error('the message was deleted while it was delivered again');
  const claimed = await findClaimed(client, row.conversationId);
  const acted = row.acted && { ...row.acted, stopped: await stillOpen(client, row.acted.stopped) };
  const replyAt = acted && waitsAt(deps, incoming, row.addressId);
  const { conversationId, id: inboxId, turnId } = row;
  return { conversationId, inboxId, redelivered: true, turnId, claimed, acted, replyAt };
}

async function stillOpen(client: Client, targets: StopTarget[]): Promise<StopTarget[]> {
  const { rows } = await client.query<StopTarget>(
    `select id as "turnId", owner from turn where id = any($1) and state in ('claimed', 'running')`,
    [targets.map((target) => target.turnId)],
  );
  return rows;
}

async function actOn(client: Client, deps: StoreDeps, incoming: Incoming, place: Place, inboxId: string) {
  const { targets, claimed } = await markConversation(client, deps, place.conversationId, place.position);
  if (incoming.command === 'new') {
    await client.query('update conversation set view_from = next_seq where id = $1', [place.conversationId]);
  }
  const acted: Acted = { stopped: targets, reply: replyTo(incoming.command, targets.length) };
  await client.query('update inbox set acted = $2 where id = $1', [inboxId, toJson(acted)]);
  const { channel, externalId } = incoming;
  await insertCommandReply(client, deps, { externalId, addressId: place.addressId, channel, text: acted.reply });
  return { claimed, acted };
}

function replyTo(command: Incoming['command'], stopped: number): string {
  const stop = stopped === 0 ? 'Nothing is running.' : `Stopped ${stopped}.`;
  if (command !== 'new') return stop;
  return stopped === 0 ? 'A new context begins here.' : `${stop} A new context begins here.`;
}
