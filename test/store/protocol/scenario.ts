// One seed: chats with messages, stops and plans, faults while they run, then quiet. What must hold then is in `invariants.ts`.
import type { Incoming } from '../../../store/conversations.js';
import type { Store } from '../../../store/index.js';
import type { Pool } from '../../../store/pool.js';
import { createActors, type Parts, type PlannedTool } from './actors.js';
import { Engine } from './engine.js';
import { checkInvariants } from './invariants.js';
import { Outside } from './outside.js';
import { type Work, World, wait } from './world.js';

export interface Stores {
  pool: Pool;
  /** The same database with different caps of children and steps. */
  all: readonly Store[];
}

export interface Sent {
  incoming: Incoming;
  acknowledged: boolean;
}

export interface Outcome {
  violations: string[];
  trace: string[];
  operations: number;
}

const moves = 3_000;

export async function runScenario({ pool, all }: Stores, seed: number): Promise<Outcome> {
  const firstId = await nextConversation(pool);
  const world = new World(seed, firstId);
  const engine = new Engine(world);
  const parts: Parts = {
    ...{ world, engine, pool },
    store: world.pick(all),
    out: new Outside(),
    plans: new Map(),
    marked: new Set(),
    terminated: new Set(),
    crashPoint: () => {
      if (world.chaos && world.chance(crashRate)) powerCut();
    },
  };
  const losses = world.chance(0.2);
  const crashRate = world.pick([0, 0, 0, 0.1]);
  world.overlap = world.pick([1, 1, 2, 4]);
  world.awayRate = world.pick([0, 0.02, 0.1]);
  const actors = createActors(parts);
  const sent: Sent[] = [];
  const chats = world.chance(0.75) ? 1 : 2;
  for (let n = 1; n <= chats; n++) {
    const chat = `seed ${seed} chat ${n} ${firstId}`;
    const addresses = await makeChat(pool, chat, world.chance(0.3));
    for (const { id } of addresses) if (world.chance(0.7)) parts.out.lookable.add(id);
    const items = messagesOf(parts, chat, addresses.length);
    sent.push(...items);
    world.start(`person ${n}`, person(items), false);
  }

  function* person(items: Sent[]): Work {
    for (const item of items) {
      yield* wait(world, world.below(world.pick([1, 10, 60])));
      world.start('platform', platform(item), false);
    }
  }

  /** Delivers until it is acknowledged, and sometimes once more. */
  function* platform(item: Sent): Work {
    for (let repeats = world.chance(0.3) ? 1 : 0; ; ) {
      world.start(
        'gateway',
        actors.receive(item.incoming, () => acknowledge(item)),
        true,
      );
      yield* wait(world, 10 + world.below(60));
      if (item.acknowledged && repeats-- <= 0) return;
    }
  }

  const faults: (() => void)[] = [
    () => withMortal((one) => world.kill(one)),
    () => withMortal((one) => world.kill(one)),
    () => withMortal((one) => world.freeze(one, world.pick([3, 30, 300]))),
    () => withMortal((one) => world.freeze(one, world.pick([3, 30, 300]))),
    () => engine.alarm(),
    () => engine.alarm(),
    () => (losses || world.chance(0.2)) && engine.lose(),
    () => powerCut(),
    () => terminateSomeRun(),
    () => world.start('sweep', actors.sweep(), true),
  ];

  function withMortal(what: (one: ReturnType<World['mortals']>[number]) => void): void {
    const mortals = world.mortals();
    if (mortals.length > 0) what(world.pick(mortals));
  }

  /** Everything dies at once; with luck the engine has kept what it knew. */
  function powerCut(): void {
    world.note('** power cut');
    for (const one of world.mortals()) world.kill(one);
    if (losses || world.chance(0.3)) engine.lose();
  }

  function terminateSomeRun(): void {
    const runs = engine.openRuns().filter(({ id }) => !id.startsWith('delivery'));
    if (!world.chance(0.3) || runs.length === 0) return;
    const { id } = world.pick(runs);
    world.note(`** ${id} is terminated by hand`);
    parts.terminated.add(id);
    engine.terminate(id);
  }

  let left = world.below(8);
  const rate = world.pick([0.01, 0.05, 0.2]);
  for (let n = 0; n < moves; n++) {
    if (left > 0 && world.chance(rate)) {
      left--;
      world.pick(faults)();
    }
    if (!(await world.move()) || world.violations.length > 0) break;
    if (left === 0 && n > 250 && world.chance(0.02)) break; // what waits for the next sweep would wait for ever
  }

  world.note('== quiet');
  world.chaos = false;
  world.thawAll();
  for (let round = 0; round < 6 && world.violations.length === 0; round++) {
    await pool.query(`update outbox set next_try_at = now() where state = 'pending' and next_try_at > now()`);
    await actors.passTwoSeconds();
    world.start('sweep', actors.sweep(), true);
    let more = true;
    for (let n = 0; n < moves && more && world.violations.length === 0; n++) more = await world.move();
    if (more && world.violations.length === 0) world.fail('rest', 'the world does not come to rest');
  }
  if (world.violations.length === 0) await checkInvariants(parts, sent, firstId);
  return { violations: world.violations, trace: world.trace, operations: world.trace.length };
}

function acknowledge(item: Sent): void {
  item.acknowledged = true;
}

async function nextConversation(pool: Pool): Promise<string> {
  const { rows } = await pool.query<{ id: string }>('select coalesce(max(id), 0) + 1 as id from conversation');
  return rows[0]?.id ?? '1';
}

async function makeChat(pool: Pool, chat: string, twoAddresses: boolean): Promise<{ id: string }[]> {
  const { rows } = await pool.query<{ id: string }>(
    `with c as (insert into conversation (kind) values ('chat') returning id)
      insert into address (channel, account, chat, thread, conversation_id)
      select 'fake', 'local', $1, thread, c.id from c, unnest($2::text[]) thread returning id`,
    [chat, twoAddresses ? ['', 'other'] : ['']],
  );
  return rows;
}

function messagesOf(parts: Parts, chat: string, addresses: number): Sent[] {
  const { world, plans } = parts;
  return Array.from({ length: 1 + world.below(5) }, (_, n) => {
    const text = `${chat} message ${n}`;
    plans.set(text, planOf(parts, text, 0));
    const command = n > 0 && world.chance(0.3) ? world.pick(['stop', 'stop', 'new'] as const) : undefined;
    const incoming: Incoming = {
      ...{ channel: 'fake', account: 'local', chat, text, externalId: text, command },
      thread: addresses > 1 ? world.pick(['', 'other']) : '',
      externalUserId: world.chance(0.75) ? 'a' : 'b',
    };
    return { incoming, acknowledged: false };
  });
}

function planOf(parts: Parts, name: string, depth: number): PlannedTool[][] {
  const { world } = parts;
  const kinds = ['read', 'read', 'idempotent', 'idempotent', 'once', 'once', 'exec', 'refused'] as const;
  return Array.from({ length: world.below(3) }, (_, step) =>
    Array.from({ length: 1 + world.below(3) }, (_, n): PlannedTool => {
      if (depth >= 2 || !world.chance(depth === 0 ? 0.3 : 0.2)) return { kind: world.pick(kinds) };
      const brief = `${name} brief ${step}.${n}`;
      parts.plans.set(brief, planOf(parts, brief, depth + 1));
      return { kind: 'spawn', wait: world.chance(0.5), brief };
    }),
  );
}
