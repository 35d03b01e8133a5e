// Who calls the store, and what each does before and after: gateway, runs, activities, sweep. As little as shows the protocol; what the
// rooms do beside it (prompts, tools, platforms) is one line here.

import type { Accepted, Incoming } from '../../../store/conversations.js';
import type { Store } from '../../../store/index.js';
import type { Claim, ClaimedRow } from '../../../store/outbox.js';
import type { Pool } from '../../../store/pool.js';
import { type Attempt, type ClaimedTurn, isOpen, NotNow, overtaken } from '../../../store/rows.js';
import type { CallPlan } from '../../../store/transcript.js';
import type { CallOutcome, CallRef, PlannedCall, StepResult, TurnOutcome } from '../../../workflows/contract.js';
import { call, reply } from '../../support/store.js';
import { type AttemptContext, Cancelled, type Engine, type Run } from './engine.js';
import type { Outside } from './outside.js';
import { type Coroutine, outside, patiently, transaction, until, type Work, type World, wait } from './world.js';

export type PlannedTool =
  | { kind: 'read' | 'idempotent' | 'once' | 'exec' | 'refused' }
  | { kind: 'spawn'; wait: boolean; brief: string };

/** The tools that each step of the turn asks for which this text opens; then the answer. */
export type Plans = Map<string, PlannedTool[][]>;

export interface Parts {
  world: World;
  engine: Engine;
  store: Store;
  pool: Pool;
  out: Outside;
  plans: Plans;
  /** Turns that carry a stop mark, as far as its commit was answered. */
  marked: Set<string>;
  /** Called where it hurts most: between an act outside and the transaction that says so. */
  crashPoint(): void;
  /** Runs that were ended by hand: their turns may fail. */
  terminated: Set<string>;
}

const host = 'h1';
const keyOf = ({ turnId, callId }: CallRef) => `${turnId}/${callId}`;

export function createActors(parts: Parts) {
  const { world, engine, store, pool, out, plans, marked } = parts;
  /** Attempts that hold a call or a row, by their token: who is not frozen renews. */
  const holders = new Map<string, { coroutine: Coroutine; ref?: CallRef }>();

  /** Who opened each step last, as far as its answer came. */
  const lastOpener = new Map<string, string>();
  const senders = new Map<string, { holder: string; token: string }>();
  /** Tokens of senders that were silent for two seconds. */
  const aged = new Set<string>();
  /** Attempts whose record has been taken, whether they know it or not. */
  const recorded = new Set<string>();

  function isAlive(token: string | null): boolean {
    const holder = token === null ? undefined : holders.get(token);
    return holder !== undefined && world.isLive(holder.coroutine);
  }

  function attemptOf({ run, number }: AttemptContext): Attempt {
    return { token: world.id('t'), workflowId: run.id, runId: run.runId, number };
  }

  function* startAll(turns: readonly Pick<ClaimedTurn, 'turnId' | 'owner' | 'kind'>[]): Work {
    for (const { turnId, owner, kind } of turns)
      yield* outside(`start ${owner}`, () => engine.start(owner, (run) => loop(run, turnId, kind)));
  }

  function wakeDelivery(destination: string): Work {
    return outside(`wake delivery of ${destination}`, () =>
      engine.startAgain(`delivery/${destination}`, (run) => delivery(run, destination)),
    );
  }

  // Gateway

  /** `onAcknowledged` is told once the platform may forget the message. */
  function* receive(incoming: Incoming, onAcknowledged: () => void): Work {
    const accepted = yield* transaction(`accept ${incoming.externalId}`, () => acceptAndSee(incoming));
    yield* outside('acknowledge', onAcknowledged);
    yield* startAll(accepted.claimed);
    if (!accepted.acted) return;
    for (const target of accepted.acted.stopped) world.start('finish stop', finishStop(target), true);
    const destination = yield* transaction('destination', () => destinationOf(incoming));
    yield* sendAsGateway(destination);
  }

  async function acceptAndSee(incoming: Incoming): Promise<Accepted> {
    const accepted = await store.conversations.accept(incoming);
    for (const { turnId } of accepted.acted?.stopped ?? []) marked.add(turnId);
    return accepted;
  }

  async function destinationOf({ channel, account, chat, thread = '' }: Incoming): Promise<string> {
    const sql = 'select id from address where channel = $1 and account = $2 and chat = $3 and thread = $4';
    return (await pool.query<{ id: string }>(sql, [channel, account, chat, thread])).rows[0]?.id ?? '';
  }

  // What it cannot send at once it leaves to `delivery`; when it dies, the sweep does.
  function* sendAsGateway(destination: string): Work {
    try {
      if (yield* sendDue(destination, world.id('gateway'))) yield* wakeDelivery(destination);
    } catch {
      yield* wakeDelivery(destination);
    }
  }

  function* finishStop({ turnId, owner }: { turnId: string; owner: string }): Work {
    for (const ticks of [world.below(20), 40, 80]) {
      yield* wait(world, ticks);
      const turn = yield* patiently(world, `stop of ${turnId}`, () => store.turns.find(turnId));
      if (!turn || !isOpen(turn.state)) return;
      if (ticks < 80) yield* outside(`cancel ${owner}`, () => engine.cancel(owner));
      else yield* terminateAndClose(turnId, turn.owner);
    }
  }

  function* terminateAndClose(turnId: string, owner: string): Work {
    yield* outside(`terminate ${owner}`, () => engine.terminate(owner));
    yield* closeFromStore(turnId, owner, 'stopped');
  }

  function* closeFromStore(
    turnId: string,
    owner: string,
    outcome: 'stopped' | 'failed',
  ): Work<TurnOutcome | 'superseded'> {
    const neverRan = new Set<string>();
    const turn = yield* transaction(`find ${turnId}`, () => store.turns.find(turnId));
    if (turn?.owner === owner) {
      for (const callId of yield* transaction('execs', () => store.turns.startedExecs(turnId, host)))
        if (yield* outside(`entomb ${callId}`, () => entomb({ turnId, callId }))) neverRan.add(callId);
    }
    const closed = yield* transaction(`close ${turnId} as ${outcome}`, () =>
      store.turns.close(turnId, owner, { outcome, reason: 'test', neverRan }),
    );
    yield* startAll(closed.claimed);
    return closed.outcome;
  }

  function entomb(ref: CallRef): boolean {
    const key = keyOf(ref);
    if (!out.folders.has(key)) out.folders.set(key, 'never');
    return out.folders.get(key) === 'never';
  }

  // Runs

  function* loop(run: Run, turnId: string, kind: ClaimedTurn['kind']): Work<unknown> {
    let close: 'stopped' | null = null;
    try {
      for (let step = 1; !close; step++) {
        const { state, calls } = (yield* engine.act(run, `callModel ${step}`, (context) =>
          callModel(context, turnId, step),
        )) as StepResult;
        if (state === 'superseded') return 'superseded';
        if (state === 'answered' || state === 'limit') break;
        if (state === 'stopped') close = 'stopped';
        else
          for (const group of neighbours(calls))
            yield* together(
              run,
              group.map((one) => runCall(run, turnId, one)),
            );
      }
    } catch (error) {
      if (!(error instanceof Cancelled)) throw error;
      close = 'stopped';
    }
    if (close) {
      const closing = engine.act(run, 'closeTurn', () => closeFromStore(turnId, run.id, 'stopped'), { shielded: true });
      if ((yield* closing) === 'superseded') return 'superseded';
    }
    if (kind !== 'subagent')
      yield* engine.act(run, 'deliver', (context) => deliver(context, turnId), { shielded: true });
    return 'done';
  }

  function neighbours(calls: PlannedCall[]): PlannedCall[][] {
    const groups: PlannedCall[][] = [];
    for (const one of calls) {
      const last = groups.at(-1)?.[0];
      if (last && ((last.effect === 'read' && one.effect === 'read') || (last.child && one.child)))
        groups.at(-1)?.push(one);
      else groups.push([one]);
    }
    return groups;
  }

  function* together(run: Run, works: Work[]): Work {
    const branches = works.map((work, n) => engine.branch(run, `branch ${n}`, work));
    yield* until('branches', () => branches.every(({ done }) => done));
    for (const { error } of branches) if (error) throw error;
  }

  function* runCall(run: Run, turnId: string, planned: PlannedCall): Work {
    if (planned.decision !== 'allow') return;
    const ref = { turnId, callId: planned.callId };
    try {
      if (planned.child) yield* runChild(run, planned.child);
      else {
        const attempts = planned.attaches ? 20 : planned.effect === 'once' ? 1 : 3;
        yield* engine.act(run, `tool ${planned.callId}`, (context) => tool(context, ref), { attempts });
      }
    } catch (error) {
      if (error instanceof Cancelled) throw error;
      yield* engine.act(run, `settle ${planned.callId}`, () => settleCall(ref));
    }
  }

  function* runChild(run: Run, child: NonNullable<PlannedCall['child']>): Work {
    if (run.cancelled) throw new Cancelled();
    yield* startAll([{ turnId: child.turnId, owner: child.workflowId, kind: 'subagent' }]);
    if (child.wait) yield* engine.act(run, 'awaitSubagent', (context) => awaitSubagent(context, child.turnId));
  }

  function* delivery(run: Run, destination: string): Work {
    yield* engine.act(run, 'deliver', (context) => sendDue(destination, context.taskId, context.self));
  }

  // Activities

  function* callModel(context: AttemptContext, turnId: string, step: number): Work<StepResult> {
    const attempt = attemptOf(context);
    const opened = yield* transaction(`open ${turnId} step ${step}`, () => openAndSee(attempt, turnId, step));
    if (opened.kind === 'settled') {
      yield* startAll(opened.claimed);
      return opened.result;
    }
    const { conversationId } = opened.turn;
    const entries = yield* transaction('context', () =>
      store.transcript.entries({ conversationId, turnId, maxTokens: 1e9 }),
    );
    const own = entries.filter((entry) => entry.turnId === turnId);
    const seen = own.flatMap(({ role, parts }) =>
      role === 'person' ? parts.map((part) => ('text' in part ? part.text : '')) : [],
    );
    const results = new Set(
      own.flatMap(({ parts }) => parts.flatMap((part) => (part.kind === 'result' ? [part.callId] : []))),
    );
    const unanswered = own.flatMap(({ parts }) =>
      parts.flatMap((part) => (part.kind === 'call' && !results.has(part.callId) ? [part.callId] : [])),
    );
    yield* outside('ask the model', () => out.bought.add(attempt.token));
    yield* outside('crash point', parts.crashPoint);
    yield* wait(world, world.below(12));
    const tools = opened.limit ? undefined : plans.get(seen[0] ?? '')?.[step - 1];
    const answer = tools
      ? { text: '', calls: tools.map((planned, n) => toCall(`s${step}.c${n + 1}`, planned)) }
      : { text: `answer to ${seen.join(' ')}`, limit: opened.limit };
    const record = reply(turnId, step, attempt, answer);
    const taken = yield* patiently(world, `record ${turnId} step ${step}`, async () => {
      const late = marked.has(turnId);
      const opener = lastOpener.get(`${turnId} ${step}`);
      const done = await store.transcript.recordStep(record);
      if (late && done.result.state === 'open' && !recorded.has(attempt.token))
        world.fail('stop', `${turnId} step ${step} is recorded after the stop`);
      if (done.result.state !== 'stopped' && opener !== attempt.token && !recorded.has(attempt.token))
        world.fail('token', `${turnId} step ${step} is recorded by an attempt that was overtaken`);
      if (done.result.state !== 'stopped') recorded.add(attempt.token);
      if (done.result.state !== 'stopped' && unanswered.length > 0)
        world.fail('transcript', `${turnId} step ${step} was asked with calls that had no result: ${unanswered}`);
      return done;
    });
    yield* startAll(taken.claimed);
    return taken.result;
  }

  async function openAndSee(attempt: Attempt, turnId: string, step: number) {
    const late = marked.has(turnId);
    const opened = await store.transcript.openStep({ turnId, step, attempt });
    if (late && opened.kind === 'open') world.fail('stop', `${turnId} opens step ${step} after the stop`);
    if (opened.kind === 'open') lastOpener.set(`${turnId} ${step}`, attempt.token);
    return opened;
  }

  function toCall(callId: string, planned: PlannedTool): CallPlan {
    switch (planned.kind) {
      case 'read':
      case 'idempotent':
      case 'once':
        return call(callId, planned.kind, { effect: planned.kind });
      case 'exec':
        return call(callId, 'exec', { effect: 'once', attaches: true });
      case 'refused':
        return call(callId, 'refused', { refusal: 'Error: refused.' });
      case 'spawn':
        return call(callId, 'spawn', {
          brief: { task: planned.brief, label: null, settings: {}, limits: {}, wait: planned.wait },
        });
      default:
        return planned satisfies never;
    }
  }

  function* tool(context: AttemptContext, ref: CallRef): Work<CallOutcome> {
    const attempt = attemptOf(context);
    holders.set(attempt.token, { coroutine: context.self(), ref });
    const intent = yield* patiently(world, `intend ${keyOf(ref)}`, async () => {
      const late = marked.has(ref.turnId);
      const found = await store.effects.intend(ref, attempt, host);
      if (late && found.kind === 'go' && found.mayStart) world.fail('stop', `${keyOf(ref)} begins after the stop`);
      return found;
    });
    if (intent.kind === 'ended') return intent.outcome;
    yield* outside(`effect ${keyOf(ref)}`, () => take(ref, intent.effect.attaches, intent.mayStart));
    yield* outside('crash point', parts.crashPoint);
    yield* wait(world, world.below(12));
    const outcome = out.folders.get(keyOf(ref)) === 'never' ? 'not run' : world.chance(0.1) ? 'failed' : 'done';
    return yield* patiently(world, `finish ${keyOf(ref)}`, () =>
      store.effects.finish(ref, attempt.token, {
        outcome,
        text: `${outcome}: ${keyOf(ref)}`,
        tainted: world.chance(0.3),
      }),
    );
  }

  function take(ref: CallRef, attaches: boolean, mayStart: boolean): void {
    const key = keyOf(ref);
    if (attaches && out.folders.has(key)) return;
    if (attaches) out.folders.set(key, mayStart ? 'ran' : 'never');
    if (mayStart) out.ran(key);
  }

  function* settleCall(ref: CallRef): Work {
    const seen = yield* transaction(`settle ${keyOf(ref)}: look`, () => store.effects.read(ref));
    if (seen.state !== 'planned' && seen.state !== 'started') return;
    const settle = (outcome: 'done' | 'unknown' | 'not run') =>
      transaction(`settle ${keyOf(ref)} as ${outcome}`, () =>
        store.effects.settle(seen, { outcome, text: `${outcome}: ${keyOf(ref)}` }),
      );
    if (seen.state === 'planned') yield* settle('not run');
    else if (seen.attaches) {
      const never = yield* outside('look at the folder', () => entomb(ref));
      yield* settle(never ? 'not run' : 'done');
    } else {
      yield* wait(world, 4);
      yield* transaction('signs of life', renewAll);
      const later = yield* transaction(`settle ${keyOf(ref)}: look again`, () => store.effects.read(ref));
      if (later.state !== 'started' || later.renewedAt !== seen.renewedAt)
        throw new NotNow('StillRunning', 'The call still gives signs of life', 500);
      yield* settle('unknown');
    }
  }

  async function renewAll(): Promise<void> {
    for (const [token, { coroutine, ref }] of holders)
      if (ref && world.isLive(coroutine)) await store.effects.renew(ref, token);
  }

  function* awaitSubagent(context: AttemptContext, turnId: string): Work {
    for (;;) {
      const child = yield* transaction(`child ${turnId}`, () => store.turns.find(turnId));
      if (!child || !isOpen(child.state)) return;
      if (context.isCancelled()) throw new Cancelled();
      yield* wait(world, 8);
    }
  }

  function* deliver(context: AttemptContext, turnId: string): Work {
    const turn = yield* transaction(`find ${turnId}`, () => store.turns.find(turnId));
    if (turn?.addressId && (yield* sendDue(turn.addressId, context.taskId, context.self)))
      yield* wakeDelivery(turn.addressId);
  }

  /** Sends what is due. True when something is left for later. */
  function* sendDue(destination: string, holder: string, self?: () => Coroutine): Work<boolean> {
    const token = world.id('s');
    const coroutine = self?.();
    if (coroutine) holders.set(token, { coroutine });
    let seen: string | undefined;
    for (;;) {
      const claim = yield* transaction(`claim at ${destination}`, () =>
        claimAndSee({ destination, holder, token, seen }),
      );
      if (claim.kind === 'nothing due') return claim.nextInMs !== null;
      if (claim.kind === 'row') {
        seen = undefined;
        yield* sendRow(claim.row, coroutine);
        continue;
      }
      yield* wait(world, 4);
      yield* transaction('two seconds pass', passTwoSeconds);
      if (!claim.silent || claim.seen === seen) throw new NotNow('DestinationBusy', 'Somebody else is sending', 250);
      seen = claim.seen;
    }
  }

  /** A row that a live sender holds is nobody else's; the next attempt of its own activity takes it over. */
  async function claimAndSee(request: Parameters<Store['outbox']['claim']>[0]): Promise<Claim> {
    const claim = await store.outbox.claim(request);
    if (claim.kind !== 'row') return claim;
    const before = senders.get(claim.row.id);
    if (
      claim.row.wasUnknown &&
      before &&
      before.holder !== request.holder &&
      isAlive(before.token) &&
      !aged.has(before.token)
    )
      world.fail('lock', `${claim.row.deliveryKey} is taken from ${before.holder}, who lives`);
    senders.set(claim.row.id, request);
    return claim;
  }

  /** For rows whose sender has died or is frozen; the others are renewed meanwhile. */
  async function passTwoSeconds(): Promise<void> {
    const { rows } = await pool.query<{ token: string }>(
      `select token from outbox where state = 'sending' and renewed_at > now() - interval '5 s'`,
    );
    const silent = rows.map(({ token }) => token).filter((token) => !isAlive(token));
    for (const token of silent) aged.add(token);
    // By token: meanwhile somebody else may have taken the row over, and lives.
    await pool.query(
      `update outbox set renewed_at = renewed_at - interval '1 hour' where state = 'sending' and token = any($1)`,
      [silent],
    );
  }

  function* sendRow(row: ClaimedRow, coroutine: Coroutine | undefined): Work {
    const canLook = out.lookable.has(row.destination.id);
    const find = () => out.copies.findIndex((copy) => copy.key === row.deliveryKey && !copy.deleted);
    if (row.wasUnknown && canLook) {
      let found = yield* outside(`look for ${row.deliveryKey}`, find);
      if (found < 0) {
        yield* wait(world, 6);
        found = yield* outside(`look again for ${row.deliveryKey}`, find);
      }
      if (found >= 0) {
        yield* patiently(world, `found ${row.deliveryKey}`, () => store.outbox.markSent(row, { copy: found }));
        return;
      }
    }
    if (world.chaos && world.chance(0.1)) {
      yield* patiently(world, `refused ${row.deliveryKey}`, () => store.outbox.release(row, 60_000, 'rate limit'));
      return;
    }
    const copy = yield* outside(`send ${row.deliveryKey}`, () => post(row, row.wasUnknown && !canLook, coroutine));
    yield* outside('crash point', parts.crashPoint);
    const ours = yield* patiently(world, `sent ${row.deliveryKey}`, () => store.outbox.markSent(row, { copy }));
    if (!ours) yield* withdraw(row, copy);
  }

  async function post(row: ClaimedRow, marked: boolean, sender: Coroutine | undefined): Promise<number> {
    const { rows } = await pool.query<{ token: string }>('select token from outbox where id = $1', [row.id]);
    const late = rows[0]?.token !== row.token;
    const { deliveryKey: key, text, destination } = row;
    return out.post({ key, text, destination: destination.id, marked, orphaned: () => late && sender?.dead === true });
  }

  // Superseded: ours is the double only when the receipt that stands names another copy.
  function* withdraw(row: ClaimedRow, copy: number): Work<never> {
    for (;;) {
      const standing = yield* patiently(world, `row ${row.deliveryKey}`, () => store.outbox.find(row.id));
      const receipt = standing?.receipt as { copy: number } | null | undefined;
      if (standing?.state === 'sent') {
        if (receipt?.copy !== copy) yield* outside(`delete ${row.deliveryKey}`, () => remove(copy));
        throw overtaken('Another sender has this row');
      }
      yield* wait(world, 8);
    }
  }

  function remove(copy: number): void {
    const standing = out.copies[copy];
    if (standing) standing.deleted = true;
  }

  // Sweep

  function* sweep(): Work {
    for (const turn of yield* transaction('open turns', () => store.turns.open())) {
      const run = yield* outside(`describe ${turn.owner}`, () => engine.describe(turn.owner));
      if (run === 'unknown' && turn.state === 'claimed') {
        if (!turn.mustWait) yield* startAll([turn]);
      } else if (run === 'unknown') {
        yield* transaction(`new owner of ${turn.turnId}`, () => store.turns.renewOwner(turn.turnId, turn.owner));
        const renewed = yield* transaction(`find ${turn.turnId}`, () => store.turns.find(turn.turnId));
        if (renewed && isOpen(renewed.state)) yield* startAll([{ ...turn, owner: renewed.owner }]);
      } else if (run === 'closed') yield* closeFromStore(turn.turnId, turn.owner, 'failed');
      else if (turn.markedMs !== null) yield* outside(`cancel ${turn.owner}`, () => engine.cancel(turn.owner));
    }
    for (const destination of yield* transaction('due', () => store.outbox.dueDestinations()))
      yield* wakeDelivery(destination);
  }

  return { receive, sweep, passTwoSeconds };
}
