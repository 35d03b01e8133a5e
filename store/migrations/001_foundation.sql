-- Up Migration

-- Facts about this installation as a whole: the engine's namespace id, the pause flag.
create table installation (
  key text primary key,
  value jsonb not null
);

create table person (
  id bigint generated always as identity primary key,
  role text not null check (role in ('owner', 'user', 'guest')),
  name text,
  created_at timestamptz not null default now()
);

-- Who a platform's verified user id is. Display names never decide anything.
create table account_person (
  channel text not null,
  account text not null,
  external_user_id text not null,
  person_id bigint not null references person,
  primary key (channel, account, external_user_id)
);

-- A child's conversation is made after its parent's, so a smaller id is an ancestor: transactions lock in the order of ids.
create table conversation (
  id bigint generated always as identity primary key,
  kind text not null check (kind in ('chat', 'subagent', 'job')),
  parent_conversation_id bigint references conversation,
  title text,
  settings jsonb not null default '{}',
  next_seq integer not null default 1,
  next_position bigint not null default 1,
  view_from integer not null default 1,
  active_turn text,
  created_at timestamptz not null default now(),
  last_activity_at timestamptz not null default now(),
  constraint children_come_after_parents check (parent_conversation_id < id)
);
create index conversation_by_activity on conversation (last_activity_at desc);
create index conversation_by_parent on conversation (parent_conversation_id) where parent_conversation_id is not null;

create table address (
  id bigint generated always as identity primary key,
  channel text not null,
  account text not null,
  chat text not null,
  thread text not null default '',
  conversation_id bigint not null references conversation on delete cascade,
  constraint one_row_an_address unique (channel, account, chat, thread)
);
create index address_by_conversation on address (conversation_id);

-- Deleting a conversation reaches every row that hangs on it: each foreign key that deletes has an index.

create table turn (
  id text primary key,
  conversation_id bigint not null references conversation on delete cascade,
  seq integer not null,
  kind text not null check (kind in ('chat', 'subagent', 'job')),
  state text not null default 'claimed' check (state in ('claimed', 'running', 'answered', 'stopped', 'failed', 'limit')),
  -- The engine's workflow that may run this turn. Stop, sweep and explain take the id from here and never build it.
  owner text not null,
  person_id bigint not null references person,
  address_id bigint references address on delete set null,
  settings jsonb not null default '{}',
  limits jsonb not null default '{}',
  root_turn_id text not null,
  parent_turn_id text references turn on delete cascade,
  parent_call_id text,
  waited boolean not null default false,
  depth integer not null default 0,
  label text,
  mark_position bigint,
  marked_at timestamptz,
  open_step integer,
  open_token text,
  open_run_id text,
  open_attempt integer,
  opened_at timestamptz,
  outage_since timestamptz,
  outage_failures integer not null default 0,
  outage_next_at timestamptz,
  tainted boolean not null default false,
  steps integer not null default 0,
  refusals integer not null default 0,
  notices integer not null default 0,
  reason text,
  not_before timestamptz,
  created_at timestamptz not null default now(),
  started_at timestamptz,
  closed_at timestamptz,
  constraint one_turn_a_sequence_number unique (conversation_id, seq),
  constraint one_run_one_turn unique (owner)
);
create unique index one_active_turn_a_conversation on turn (conversation_id) where state in ('claimed', 'running');
create index turn_open on turn (state, created_at) where state in ('claimed', 'running');
create index turn_by_parent on turn (parent_turn_id) where parent_turn_id is not null;
create index turn_by_address on turn (address_id) where address_id is not null;
alter table conversation add constraint active_turn_exists foreign key (active_turn) references turn deferrable initially deferred;
create index conversation_by_active_turn on conversation (active_turn) where active_turn is not null;

create table inbox (
  id bigint generated always as identity primary key,
  channel text not null,
  account text not null,
  external_id text not null,
  kind text not null check (kind in ('message', 'result', 'firing', 'edit', 'note', 'command')),
  person_id bigint not null references person,
  address_id bigint references address on delete cascade,
  conversation_id bigint not null references conversation on delete cascade,
  position bigint not null,
  body jsonb not null,
  settings jsonb not null default '{}',
  turn_id text references turn on delete cascade,
  entered boolean not null default false,
  -- A command: what it acted on, fixed in its transaction, so that a redelivered /stop cannot stop a later turn.
  acted jsonb,
  received_at timestamptz not null default now(),
  constraint a_message_is_kept_once unique (channel, account, external_id)
);
create index inbox_unread on inbox (conversation_id, position) where turn_id is null and kind <> 'command';
create index inbox_by_turn on inbox (turn_id) where turn_id is not null;
create index inbox_by_conversation on inbox (conversation_id);
create index inbox_by_address on inbox (address_id) where address_id is not null;

create table step (
  turn_id text not null references turn on delete cascade,
  step integer not null,
  token text not null,
  result jsonb not null,
  model text,
  finish_reason text,
  opened_at timestamptz not null,
  recorded_at timestamptz not null default now(),
  first_token_ms integer,
  duration_ms integer not null,
  primary key (turn_id, step)
);

create table entry (
  id bigint generated always as identity primary key,
  conversation_id bigint not null references conversation on delete cascade,
  turn_id text not null references turn on delete cascade,
  step integer,
  call_id text,
  role text not null check (role in ('person', 'assistant', 'tool', 'note', 'notice')),
  parts jsonb not null,
  provider jsonb,
  sender text,
  channel text,
  tokens integer not null default 0,
  at timestamptz not null default now()
);
create index entry_by_conversation on entry (conversation_id, id);
create index entry_by_turn on entry (turn_id);
create unique index one_result_a_call on entry (turn_id, call_id) where role = 'tool';

create table effect (
  turn_id text not null references turn on delete cascade,
  call_id text not null,
  step integer not null,
  ordinal integer not null,
  tool text not null,
  class text not null check (class in ('read', 'idempotent', 'once')),
  state text not null check (state in ('planned', 'started', 'done', 'failed', 'unknown', 'not run')),
  decision text not null check (decision in ('allow', 'ask', 'deny')),
  arguments jsonb not null,
  args_hash text not null,
  summary text not null,
  attaches boolean not null default false,
  child_turn_id text references turn on delete set null,
  token text,
  run_id text,
  number integer,
  host text,
  renewed_at timestamptz,
  planned_at timestamptz not null default now(),
  started_at timestamptz,
  ended_at timestamptz,
  duration_ms integer,
  result_hash text,
  result_bytes integer,
  tainted boolean not null default false,
  -- A few facts that the tool keeps for its next attempt: the hashes before and after a write.
  memo jsonb,
  primary key (turn_id, call_id)
);
create index effect_open on effect (turn_id) where state in ('planned', 'started');
create index effect_started on effect (host) where state = 'started';
create index effect_by_child on effect (child_turn_id) where child_turn_id is not null;

create table blob (
  turn_id text not null references turn on delete cascade,
  call_id text not null,
  content text not null,
  bytes integer not null,
  created_at timestamptz not null default now(),
  primary key (turn_id, call_id)
);

-- Usage is booked once for each opening's token: a dropped answer was paid, too.
create table usage (
  token text primary key,
  turn_id text not null references turn on delete cascade,
  root_turn_id text not null,
  step integer not null,
  provider text not null,
  model text not null,
  requests integer not null default 1,
  input_tokens integer not null,
  output_tokens integer not null,
  cached_tokens integer not null default 0,
  reasoning_tokens integer not null default 0,
  first_token_ms integer,
  cost_micros bigint,
  estimated boolean not null default false,
  recorded boolean not null,
  at timestamptz not null default now()
);
create index usage_by_root on usage (root_turn_id);
create index usage_by_turn on usage (turn_id);

create table outbox (
  id bigint generated always as identity primary key,
  delivery_key text not null constraint a_part_is_written_once unique,
  destination bigint not null references address on delete cascade,
  turn_id text references turn on delete cascade,
  source text not null,
  part integer not null,
  state text not null check (state in ('pending', 'sending', 'sent', 'unknown', 'failed', 'cancelled')),
  body jsonb not null,
  not_before timestamptz not null default now(),
  next_try_at timestamptz,
  tries integer not null default 0,
  was_unknown boolean not null default false,
  flagged boolean not null default false,
  token text,
  holder text,
  renewed_at timestamptz,
  receipt jsonb,
  reason text,
  created_at timestamptz not null default now(),
  sent_at timestamptz
);
create index outbox_open on outbox (destination, id) where state in ('pending', 'sending');
create index outbox_by_turn on outbox (turn_id) where turn_id is not null;
create index outbox_by_destination on outbox (destination);
create unique index one_row_is_sent_at_a_time on outbox (destination) where state = 'sending';

insert into person (role, name) values ('owner', null);
insert into account_person (channel, account, external_user_id, person_id)
  select 'terminal', 'local', 'owner', id from person where role = 'owner';

-- Down Migration
