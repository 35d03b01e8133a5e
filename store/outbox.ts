// What is to be said, where, and what became of it. A row that is being sent is its own lock: nobody passes it, and its token
// refuses every write of a sender that has been given up.
import type { StoreDeps } from './deps.js';
import { type Client, type Pool, violates } from './pool.js';
import type { TurnRow } from './rows.js';
import { toJson, toText } from './stored-text.js';
import { inTransaction } from './transaction.js';

/** `answer`, `notice:<n>`, `card:<call>`, `call:<call>`, `preview`. */
export type ReplySource = string;

/** Writes a reply to the turn's address, cut into the parts that its channel carries. Retry: the first rows stand. */
export async function insertReply(
  client: Client,
  deps: StoreDeps,
  turn: TurnRow,
  { source, channel, text }: { source: ReplySource; channel: string; text: string },
): Promise<void> {
  if (!turn.addressId) return;
  const key = `${turn.id}/${source}`;
  await insertParts(client, deps, { key, destination: turn.addressId, turnId: turn.id, source, channel, text });
}

interface Reply {
  key: string;
  destination: string;
  turnId: string | null;
  source: ReplySource;
  channel: string;
  text: string;
}

/** False when the parts stand already. */
async function insertParts(
  client: Client,
  deps: StoreDeps,
  { key, destination, turnId, source, channel, text }: Reply,
): Promise<boolean> {
  // What stands in the transcript is visible in the terminal, the console and the API.
  const visible = deps.transcriptChannels.includes(channel);
  const parts = (visible ? [text] : deps.split(channel, text)).map(toText);
  const { rowCount } = await client.query({
    name: 'insert-parts',
    text: `insert into outbox (delivery_key, destination, turn_id, source, part, state, body, sent_at)
      select $1 || '/' || n, $2, $3, $4, n, case when $5::boolean then 'sent' else 'pending' end, jsonb_build_object('text', body),
        case when $5::boolean then now() end
      from unnest($6::text[]) with ordinality as p(body, n) order by n
      on conflict on constraint a_part_is_written_once do nothing`,
    values: [key, destination, turnId, source, visible, parts],
  });
  return (rowCount ?? 0) > 0;
}

/** The answer to a command, which has no turn. */
export function insertCommandReply(
  client: Client,
  deps: StoreDeps,
  reply: { externalId: string; addressId: string; channel: string; text: string },
): Promise<boolean> {
  const { externalId, addressId, channel, text } = reply;
  return insertParts(client, deps, {
    key: `command:${channel}:${externalId}`,
    destination: addressId,
    turnId: null,
    source: 'command',
    channel,
    text,
  });
}

/**
 * A word in the middle of a turn: an outage that lasts. Inserted again by each failing attempt: the first row stands. Where replies
 * stand in the transcript, so does this one, and nothing is to be sent. `fresh`: this call wrote it. Null where the turn answers to
 * nobody.
 */
export function insertNotice(
  deps: StoreDeps,
  turnId: string,
  name: string,
  text: string,
): Promise<{ destination: string; fresh: boolean; toSend: boolean } | null> {
  return inTransaction(deps, async (client) => {
    const { rows } = await client.query<{ addressId: string; channel: string }>(
      'select t.address_id as "addressId", a.channel from turn t join address a on a.id = t.address_id where t.id = $1',
      [turnId],
    );
    const place = rows[0];
    if (!place) return null;
    const { addressId: destination, channel } = place;
    const source = `notice:${name}`;
    const fresh = await insertParts(client, deps, {
      key: `${turnId}/${source}`,
      destination,
      turnId,
      source,
      channel,
      text,
    });
    const toSend = !deps.transcriptChannels.includes(channel);
    if (fresh && !toSend) {
      await client.query(
        `insert into entry (conversation_id, turn_id, role, parts, tokens)
          select conversation_id, id, 'notice', $2, $3 from turn where id = $1`,
        [turnId, toJson([{ kind: 'text', text }]), deps.estimateTokens(text)],
      );
    }
    return { destination, fresh, toSend };
  });
}

export interface Destination {
  id: string;
  channel: string;
  account: string;
  chat: string;
  thread: string;
}

export interface ClaimedRow {
  id: string;
  deliveryKey: string;
  turnId: string | null;
  part: number;
  text: string;
  /** An earlier sender may have sent it: look, look again, then the channel's policy. */
  wasUnknown: boolean;
  tries: number;
  token: string;
  destination: Destination;
}

export type Claim =
  | { kind: 'row'; row: ClaimedRow }
  /** Somebody else is sending. `silent`: without a sign of life for 2 s; look again with `seen` after 400 ms. */
  | { kind: 'busy'; seen: string; silent: boolean }
  /** Nothing is due. `nextInMs`: until the next row may go; null: none is open. */
  | { kind: 'nothing due'; nextInMs: number | null };

interface ClaimQueryRow extends Omit<ClaimedRow, 'destination' | 'token'> {
  channel: string;
  account: string;
  chat: string;
  thread: string;
}

interface Looked {
  id: string | null;
  /** A row is due or being sent: when none was claimed, somebody else has it. */
  due: boolean;
  seen: string | null;
  silent: boolean | null;
  nextInMs: number | null;
}

// Judged on the row as it is when it is locked, not as the snapshot showed it: between the two another sender may have claimed it
// (then it was unknown) or have sent it (then it is no longer ours to claim).
const claimSql = `
  with open as (
    select o.id, o.state, o.renewed_at, greatest(o.not_before, max(o.next_try_at) filter (where o.state = 'pending')
      over (partition by coalesce(o.turn_id, o.delivery_key) order by o.id)) as due_at
    from outbox o where o.destination = $1 and o.state in ('pending', 'sending')
  ), next as (
    select id, case when state = 'sending' then renewed_at end as seen from open
    where state = 'sending' or due_at <= now() order by state = 'sending' desc, id limit 1
  ), claimed as (
    update outbox o set state = 'sending', token = $2, holder = $3, renewed_at = now(), tries = tries + 1,
      was_unknown = o.was_unknown or o.state = 'sending'
    from next where o.id = next.id and (o.state = 'pending' or (o.state = 'sending' and (o.holder = $3
      or (abs(extract(epoch from now() - o.renewed_at)) > 2 and o.renewed_at::text = $4))))
    returning o.*
  ) select c.id, c.delivery_key as "deliveryKey", c.turn_id as "turnId", c.part, c.body ->> 'text' as text,
    c.was_unknown as "wasUnknown", c.tries, a.channel, a.account, a.chat, a.thread,
    n.id is not null as due, n.seen::text as seen, abs(extract(epoch from now() - n.seen)) > 2 as silent,
    (extract(epoch from w.due_at - now()) * 1000)::float8 as "nextInMs"
  from (select min(due_at) as due_at from open) w left join next n on true left join claimed c on true
    left join address a on a.id = c.destination`;

/**
 * Claims the oldest due row of a destination. `holder` names the activity that sends: its next attempt takes its row over at once,
 * anybody else after 2 s without a sign of life, seen twice. Retry: a claim whose answer was lost finds its row in `sending`, and
 * looks before it sends.
 */
export async function claimRow(
  { pool, crashPoint }: StoreDeps,
  { destination, holder, token, seen }: { destination: string; holder: string; token: string; seen?: string },
): Promise<Claim> {
  const found = await claimOldest(pool, [destination, token, holder, seen ?? null]);
  if (!found) return { kind: 'busy', seen: '', silent: false };
  const { due, seen: lastSign, silent, nextInMs, channel, account, chat, thread, ...row } = found;
  if (row.id !== null) {
    crashPoint('outbox.send', 'before');
    return { kind: 'row', row: { ...row, token, destination: { id: destination, channel, account, chat, thread } } };
  }
  if (due) return { kind: 'busy', seen: lastSign ?? '', silent: silent ?? false };
  return { kind: 'nothing due', nextInMs: nextInMs === null ? null : Math.max(0, Math.ceil(nextInMs)) };
}

async function claimOldest(pool: Pool, values: unknown[]): Promise<(ClaimQueryRow & Looked) | null> {
  try {
    const { rows } = await pool.query<ClaimQueryRow & Looked>({ name: 'claim-row', text: claimSql, values });
    return rows[0] ?? null;
  } catch (error) {
    // Two senders chose different rows at the same moment: the second one is refused by the index and comes again.
    if (violates(error, 'one_row_is_sent_at_a_time')) return null;
    throw error;
  }
}

/** A sign of life of a sender; false when the row has been taken over. */
export async function renewRow({ pool }: StoreDeps, row: ClaimedRow): Promise<boolean> {
  return changed(
    await pool.query({
      name: 'renew-row',
      text: `update outbox set renewed_at = now() where id = $1 and token = $2 and state = 'sending'`,
      values: [row.id, row.token],
    }),
  );
}

/** Marks a row as sent; false when another sender has taken it over: then ours is the double. Retry: true for our own mark. */
export async function markSent(
  { pool, crashPoint }: StoreDeps,
  row: ClaimedRow,
  receipt: unknown,
  flagged = false,
): Promise<boolean> {
  crashPoint('outbox.mark', 'before');
  const marked = changed(
    await pool.query({
      name: 'mark-sent',
      text: `update outbox set state = 'sent', receipt = $3, sent_at = now(), flagged = flagged or $4, next_try_at = null
        where id = $1 and token = $2 and state in ('sending', 'sent')`,
      values: [row.id, row.token, toJson(receipt), flagged],
    }),
  );
  crashPoint('outbox.mark', 'after');
  return marked;
}

/**
 * Surely not sent: the row waits for its next try, and holds back the later parts of its turn until then. False when another sender
 * has taken it over. Retry: true for our own release.
 */
export async function releaseRow(
  { pool }: StoreDeps,
  row: ClaimedRow,
  delayMs: number,
  reason: string,
): Promise<boolean> {
  return changed(
    await pool.query({
      name: 'release-row',
      text: `update outbox set state = 'pending', next_try_at = now() + make_interval(secs => $3 / 1000.0), reason = $4
        where id = $1 and token = $2 and state in ('sending', 'pending')`,
      values: [row.id, row.token, delayMs, toText(reason)],
    }),
  );
}

/**
 * A row for the dead letters, with the rest of its turn; later turns go on. `unknown`: the channel's policy is not to send again
 * what may have arrived. False when another sender has taken the row over. Retry: true for our own burial.
 */
export async function buryRow(
  { pool }: StoreDeps,
  row: ClaimedRow,
  state: 'failed' | 'unknown',
  reason: string,
): Promise<boolean> {
  return changed(
    await pool.query({
      name: 'bury-row',
      text: `with buried as (
          update outbox set state = $3, reason = $4 where id = $1 and token = $2 and state in ('sending', $3)
          returning id, turn_id, destination
        ), rest as (
          update outbox o set state = 'failed', reason = 'an earlier part of this reply could not be delivered'
          from buried b where $3 = 'failed' and o.destination = b.destination and o.turn_id = b.turn_id and o.id > b.id
            and o.state = 'pending'
        ) select id from buried`,
      values: [row.id, row.token, state, toText(reason)],
    }),
  );
}

/** The state and receipt of a row, for a sender that was superseded and wants to know whether its copy is the double. */
export async function findRow({ pool }: StoreDeps, id: string): Promise<{ state: string; receipt: unknown } | null> {
  const { rows } = await pool.query<{ state: string; receipt: unknown }>(
    'select state, receipt from outbox where id = $1',
    [id],
  );
  return rows[0] ?? null;
}

/** Destinations with a row that is due, or in `sending` without a sign of life: each gets its `delivery`. */
export async function dueDestinations({ pool }: StoreDeps, limit = 100): Promise<string[]> {
  const { rows } = await pool.query<{ destination: string }>(
    `select distinct destination from outbox
      where (state = 'pending' and greatest(not_before, coalesce(next_try_at, not_before)) <= now())
        or (state = 'sending' and abs(extract(epoch from now() - renewed_at)) > 2) limit $1`,
    [limit],
  );
  return rows.map((row) => row.destination);
}

function changed({ rowCount }: { rowCount: number | null }): boolean {
  return (rowCount ?? 0) > 0;
}
