// A world of coroutines that a seed puts in order. Each operation is one transaction of the store, one act outside, or a wait; between
// any two of them a coroutine may be frozen, may die, or another may run. An operation of the store may fail before it begins, or
// after its commit: then its caller does not know.
import { NotNow } from '../../../store/rows.js';

export interface Operation {
  label: string;
  store?: true;
  run?(): unknown;
  ready?(): boolean;
  /** The tick at which a wait ends, so that an idle world can move on to it. */
  at?: number;
}

export type Work<Result = void> = Generator<Operation, Result, unknown>;

export class Away extends Error {}

export interface Coroutine {
  name: string;
  work: Work<unknown>;
  operation: Operation | null;
  /** Part of a process: it may die or freeze. What the engine keeps may not. */
  mortal: boolean;
  frozenUntil: number;
  wasFrozen: boolean;
  dead: boolean;
  done: boolean;
  busy: boolean;
  error: unknown;
  onDeath?(): void;
}

export class World {
  tick = 0;
  /** Faults happen while it is true. */
  chaos = true;
  /** The chance that an operation of the store fails, half of them after the commit. */
  awayRate = 0;
  /** How many operations may be under way at once. */
  overlap = 1;
  readonly violations: string[] = [];
  readonly trace: string[] = [];
  private coroutines: Coroutine[] = [];
  private state: number;
  private ids = 0;

  private readonly name: string;

  constructor(seed: number, name: string) {
    this.name = name;
    this.state = (seed * 2654435761 + 12345) >>> 0;
  }

  random(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  below(n: number): number {
    return Math.floor(this.random() * n);
  }

  chance(p: number): boolean {
    return this.random() < p;
  }

  pick<T>(list: readonly T[]): T {
    const chosen = list[this.below(list.length)];
    if (chosen === undefined) throw new Error('nothing to choose from');
    return chosen;
  }

  /** Unlike those of every other world in the same database. */
  id(prefix: string): string {
    return `${prefix}${++this.ids} in ${this.name}`;
  }

  note(text: string): void {
    this.trace.push(`${String(this.tick).padStart(5)} ${text}`);
  }

  fail(rule: string, text: string): void {
    this.violations.push(`${rule}: ${text}`);
    this.note(`!! ${rule}: ${text}`);
  }

  start(name: string, work: Work<unknown>, mortal: boolean): Coroutine {
    const coroutine: Coroutine = {
      name,
      work,
      operation: null,
      mortal,
      frozenUntil: 0,
      wasFrozen: false,
      dead: false,
      done: false,
      busy: false,
      error: undefined,
    };
    this.coroutines.push(coroutine);
    this.resume(coroutine, () => work.next());
    return coroutine;
  }

  end(coroutine: Coroutine): void {
    coroutine.dead = true;
  }

  isLive(coroutine: Coroutine): boolean {
    return !coroutine.dead && !coroutine.done && coroutine.frozenUntil <= this.tick;
  }

  mortals(): Coroutine[] {
    return this.coroutines.filter((one) => one.mortal && !one.dead && !one.done);
  }

  kill(coroutine: Coroutine): void {
    this.note(`** ${coroutine.name} dies`);
    coroutine.dead = true;
    coroutine.onDeath?.();
  }

  freeze(coroutine: Coroutine, ticks: number): void {
    this.note(`** ${coroutine.name} freezes for ${ticks}`);
    coroutine.frozenUntil = this.tick + ticks;
    coroutine.wasFrozen = true;
    coroutine.onDeath?.();
  }

  thawAll(): void {
    for (const coroutine of this.coroutines) coroutine.frozenUntil = 0;
  }

  /** Some operations, one or several at once. False when nothing can move, however long one waits. */
  async move(): Promise<boolean> {
    this.coroutines = this.coroutines.filter((one) => !one.dead && !one.done);
    this.tick++;
    const ready = this.coroutines.filter((one) => this.isReady(one));
    if (ready.length === 0) return this.skipTime();
    const count = Math.min(ready.length, 1 + (this.overlap > 1 ? this.below(this.overlap) : 0));
    const chosen: Coroutine[] = [];
    for (let n = 0; n < count; n++) chosen.push(...ready.splice(this.below(ready.length), 1));
    await Promise.all(chosen.map((one) => this.perform(one)));
    return true;
  }

  private isReady(coroutine: Coroutine): boolean {
    if (coroutine.frozenUntil > this.tick) return false;
    return coroutine.operation?.ready?.() ?? true;
  }

  private skipTime(): boolean {
    const times = this.coroutines.flatMap((one) => [one.frozenUntil, one.operation?.at ?? 0]);
    const later = times.filter((at) => at > this.tick && at < Number.POSITIVE_INFINITY);
    if (later.length === 0) return false;
    this.tick = Math.min(...later);
    return true;
  }

  // What is drawn here is drawn before anything is awaited, so that a seed gives the same draws whatever the store's timing.
  private async perform(coroutine: Coroutine): Promise<void> {
    const operation = coroutine.operation;
    if (!operation) return;
    const fate = operation.store && this.chaos ? this.random() : 1;
    let value: unknown;
    let error: unknown;
    try {
      if (fate < this.awayRate / 2) throw new Away('before');
      value = await operation.run?.();
      if (fate < this.awayRate) throw new Away('after');
    } catch (thrown) {
      error = thrown;
    }
    if (operation.run) this.note(`${coroutine.name}: ${operation.label} -> ${error ? show(error) : show(value)}`);
    if (error && !this.isExpected(error)) this.fail('ERROR', `${coroutine.name}: ${operation.label}: ${show(error)}`);
    if (coroutine.dead) return;
    this.resume(coroutine, () => (error ? coroutine.work.throw(error) : coroutine.work.next(value)));
  }

  private isExpected(error: unknown): boolean {
    return error instanceof Away || error instanceof NotNow || (error instanceof Error && error.name === 'Interrupted');
  }

  private resume(coroutine: Coroutine, advance: () => IteratorResult<Operation, unknown>): void {
    try {
      const { done, value } = advance();
      if (done) coroutine.done = true;
      else coroutine.operation = value as Operation;
    } catch (error) {
      coroutine.done = true;
      coroutine.error = error;
    }
  }
}

function show(value: unknown): string {
  if (value instanceof Error) return `${value.name} ${'type' in value ? value.type : ''} ${value.message}`;
  const text = JSON.stringify(value) ?? '';
  return text.length > 160 ? `${text.slice(0, 157)}...` : text;
}

/** One transaction or query of the store. */
export function* transaction<Result>(label: string, run: () => Promise<Result>): Work<Result> {
  return (yield { label, run, store: true }) as Result;
}

/** Something outside the store, done at once. */
export function* outside<Result>(label: string, run: () => Result): Work<Awaited<Result>> {
  return (yield { label, run }) as Awaited<Result>;
}

export function* until(label: string, ready: () => boolean): Work {
  yield { label, ready };
}

export function* wait(world: World, ticks: number): Work {
  const at = world.tick + ticks;
  yield { label: 'wait', at, ready: () => world.tick >= at };
}

/** A result in hand is not given up: the same call again, with the same token, until the store answers. */
export function* patiently<Result>(world: World, label: string, run: () => Promise<Result>): Work<Result> {
  for (;;) {
    try {
      return yield* transaction(label, run);
    } catch (error) {
      if (!(error instanceof Away)) throw error;
      yield* wait(world, 3);
    }
  }
}
