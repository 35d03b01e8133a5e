// A process that talks, and works only when nobody else does: it joins the worker that is there, and becomes one itself when there is
// none, or when the one it relies on has been gone for five seconds.
import { countWorkers } from '../store/workers.js';
import type { Agent } from './agent.js';
import type { Base } from './compose.js';
import { type Gateway, openGateway } from './gateway.js';
import { createClientEngine, lateEngine } from './late-engine.js';
import type { LocalStack } from './local-stack/stack.js';
import { announceProcess } from './presence.js';
import { openWorker } from './worker.js';

/** `always`: this process is a worker, whoever else is. `never`: it only talks. */
export type Work = 'when needed' | 'always' | 'never';

export interface Standby extends Gateway {
  /** Called once: until then nothing is started. What was accepted before is started then. */
  begin(work: Work): Promise<void>;
  /** This process takes tasks, or is about to. */
  works(): boolean;
  /** Resolves when a worker of this process polls; at once when there is none. */
  ready(): Promise<void>;
  /** Workers elsewhere. */
  otherWorkers(): Promise<number>;
  /** Rejects when this process was needed as a worker and could not become or stay one. */
  failed: Promise<never>;
}

export interface StandbyOptions {
  base: Base;
  stack: LocalStack;
  command: string;
  say(line: string): void;
}

const lookMs = 500;
const goneForMs = 5_000;

/** Resolves when messages can be accepted. */
export async function openStandby({ base, stack, command, say }: StandbyOptions): Promise<Standby> {
  let agent: Promise<Agent> | undefined;
  let watch: NodeJS.Timeout | undefined;
  let begun: () => void = () => {};
  const hasBegun = new Promise<void>((resolve) => {
    begun = resolve;
  });
  let fail: (error: unknown) => void = () => {};
  const failed = new Promise<never>((_resolve, reject) => {
    fail = reject;
  });
  failed.catch(() => {}); // who waits for an answer hears of it there

  const client = createClientEngine(base);
  const engine = lateEngine(async () => {
    await hasBegun;
    return agent ? (await agent).engine : client.open();
  });
  const gateway = await openGateway(base, engine);
  const withdraw = await announceProcess(base.config.home, { command, works: false });

  function becomeWorker(): void {
    agent = openWorker(base, stack, command);
    agent.then(({ done }) => done).catch(fail);
  }

  /** The worker that we rely on may die at any time, and a restart takes it a moment. */
  function watchForLoss(): void {
    let goneSince: number | undefined;
    watch = setInterval(async () => {
      if (agent) return;
      // While the store is away nothing is known of workers, and nothing could be done.
      const workers = await countWorkers(base.pool).catch(() => 1);
      if (workers > 0 || agent) goneSince = undefined;
      else goneSince ??= performance.now();
      if (goneSince === undefined || performance.now() - goneSince < goneForMs) return;
      say('The worker has been gone for 5 s; this process takes over.');
      becomeWorker();
    }, lookMs);
  }

  return {
    ...gateway,
    async begin(work) {
      if (work === 'always' || (work === 'when needed' && (await countWorkers(base.pool)) === 0)) becomeWorker();
      if (work === 'when needed') watchForLoss();
      begun();
    },
    works: () => agent !== undefined,
    async ready() {
      await agent;
    },
    otherWorkers: async () => (await countWorkers(base.pool)) - ((await agent) ? 1 : 0),
    failed,
    async close() {
      clearInterval(watch);
      await (await agent?.catch(() => undefined))?.close();
      await gateway.close();
      await client.close();
      await withdraw();
    },
  };
}
