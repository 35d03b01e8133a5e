// A small Temporal: runs that outlive every process, and activities that are tried again when their attempt fails, dies, freezes or is
// given up by mistake. An attempt that was given up goes on all the same, and what it reports is ignored.
import { NotNow } from '../../../store/rows.js';
import { Away, type Coroutine, outside, until, type Work, type World } from './world.js';

export class Cancelled extends Error {}
class AttemptsUsedUp extends Error {}

export interface Run {
  id: string;
  runId: string;
  open: boolean;
  cancelled: boolean;
  coroutines: Coroutine[];
}

export interface AttemptContext {
  run: Run;
  number: number;
  /** Of one task, whatever its attempt: what a sender is known by. */
  taskId: string;
  self(): Coroutine;
  isCancelled(): boolean;
}

type Activity = (context: AttemptContext) => Work<unknown>;

interface Task {
  id: string;
  run: Run;
  name: string;
  activity: Activity;
  attempts: number;
  shielded: boolean;
  number: number;
  cancelled: boolean;
  done: boolean;
  result: { value?: unknown; error?: unknown };
}

export class Engine {
  readonly runs = new Map<string, Run>();
  private tasks: Task[] = [];
  private readonly world: World;

  constructor(world: World) {
    this.world = world;
  }

  /** Already started is success. A used id is refused for ever, as by the engine's retention. */
  start(id: string, workflow: (run: Run) => Work<unknown>): void {
    if (this.runs.has(id)) return;
    this.begin(id, workflow);
  }

  /** For `delivery`, whose id is used again. */
  startAgain(id: string, workflow: (run: Run) => Work<unknown>): void {
    if (this.runs.get(id)?.open) return;
    this.begin(id, workflow);
  }

  private begin(id: string, workflow: (run: Run) => Work<unknown>): void {
    const run: Run = { id, runId: this.world.id('run'), open: true, cancelled: false, coroutines: [] };
    this.runs.set(id, run);
    const self = this;
    run.coroutines.push(
      this.world.start(
        id,
        (function* () {
          try {
            yield* workflow(run);
          } finally {
            self.close(run);
          }
        })(),
        false,
      ),
    );
  }

  describe(id: string): 'unknown' | 'open' | 'closed' {
    const run = this.runs.get(id);
    return run ? (run.open ? 'open' : 'closed') : 'unknown';
  }

  /** Work of a run beside its main line, as two calls at once are. */
  branch(run: Run, name: string, work: Work<unknown>): Coroutine {
    const coroutine = this.world.start(`${run.id} ${name}`, work, false);
    run.coroutines.push(coroutine);
    return coroutine;
  }

  cancel(id: string): void {
    const run = this.runs.get(id);
    if (!run?.open) return;
    run.cancelled = true;
    for (const task of this.tasks) if (task.run === run && !task.shielded) task.cancelled = true;
  }

  terminate(id: string): void {
    const run = this.runs.get(id);
    if (!run?.open) return;
    for (const coroutine of run.coroutines) this.world.end(coroutine);
    this.close(run);
  }

  /** The engine's database is gone: nothing is known of any run. Attempts go on, unheard. */
  lose(): void {
    this.world.note('** the engine is lost');
    for (const run of this.runs.values()) {
      for (const coroutine of run.coroutines) this.world.end(coroutine);
      run.open = false;
    }
    this.runs.clear();
    this.tasks = [];
  }

  openRuns(): Run[] {
    return [...this.runs.values()].filter((run) => run.open);
  }

  private close(run: Run): void {
    run.open = false;
    this.tasks = this.tasks.filter((task) => task.run !== run);
  }

  /** Gives up an attempt that still works: a false alarm. */
  alarm(): void {
    const task = this.tasks.length > 0 ? this.world.pick(this.tasks) : undefined;
    if (!task || task.done || task.number === 0) return;
    this.world.note(`** false alarm at ${task.name} ${task.number}`);
    this.next(task, task.number, new Error('given up'));
  }

  *act(
    run: Run,
    name: string,
    activity: Activity,
    options: { attempts?: number; shielded?: boolean } = {},
  ): Work<unknown> {
    const { attempts = Number.POSITIVE_INFINITY, shielded = false } = options;
    if (run.cancelled && !shielded) throw new Cancelled();
    const task: Task = {
      id: this.world.id('task'),
      ...{ run, name, activity, attempts, shielded, number: 0, cancelled: false, done: false, result: {} },
    };
    this.tasks.push(task);
    this.attempt(task);
    yield* until(`wait for ${name}`, () => task.done);
    this.tasks = this.tasks.filter((other) => other !== task);
    if (task.result.error) throw task.result.error;
    return task.result.value;
  }

  private attempt(task: Task): void {
    const number = ++task.number;
    const holder: { coroutine?: Coroutine } = {};
    const context: AttemptContext = {
      run: task.run,
      number,
      taskId: `${task.run.runId}/${task.id}`,
      self: () => {
        if (!holder.coroutine) throw new Error('an attempt asks who it is before it has begun');
        return holder.coroutine;
      },
      isCancelled: () => task.cancelled || task.number !== number || !task.run.open,
    };
    const coroutine = this.world.start(`${task.run.id} ${task.name}#${number}`, this.try(task, number, context), true);
    holder.coroutine = coroutine;
    // Dead or frozen: the engine hears nothing, and after a while tries again.
    coroutine.onDeath = () => this.later(() => this.next(task, number, new Error('lost')), 5 + this.world.below(20));
  }

  private *try(task: Task, number: number, context: AttemptContext): Work {
    yield* outside('begins', () => undefined);
    try {
      const value = yield* task.activity(context);
      if (this.hears(task, number)) this.finish(task, { value });
    } catch (error) {
      if (error instanceof Cancelled) {
        if (this.hears(task, number)) this.finish(task, { error });
      } else if (error instanceof Away || error instanceof NotNow || error instanceof Error) {
        this.later(() => this.next(task, number, error), 1 + this.world.below(6));
      }
    }
  }

  private hears(task: Task, number: number): boolean {
    return task.run.open && this.tasks.includes(task) && task.number === number && !task.done;
  }

  private next(task: Task, number: number, error: unknown): void {
    if (!this.hears(task, number)) return;
    if (task.cancelled) this.finish(task, { error: new Cancelled() });
    else if (number >= task.attempts) this.finish(task, { error: new AttemptsUsedUp(String(error)) });
    else this.attempt(task);
  }

  private finish(task: Task, result: Task['result']): void {
    task.result = result;
    task.done = true;
  }

  private later(what: () => void, ticks: number): void {
    const { world } = this;
    const at = world.tick + ticks;
    world.start(
      'engine',
      (function* (): Work {
        yield { label: 'timer', at, ready: () => world.tick >= at };
        what();
      })(),
      false,
    );
  }
}
