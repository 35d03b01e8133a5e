// One round: load, blows, restarts, quiet, and what was seen of it.
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { type Line, monotonicMs, readJournal } from './journal.js';
import {
  type AttemptsSeen,
  countMissing,
  type ExecSeen,
  leftToDo,
  readAttempts,
  readExecLog,
  readStore,
  readWorkspace,
  runningCommands,
  type StoreSeen,
} from './observe.js';
import type { Blow, RoundPlan, Victim } from './plan.js';
import type { Product, Role, Stage, Start } from './processes.js';

/** A blow that fell. What it disturbed is over at `until`: the victim's successor works, or it has thawed. */
export interface Strike {
  victim: Victim;
  kind: 'kill' | 'freeze';
  point?: string;
  at: number;
  until: number;
}

export interface Observation {
  plan: RoundPlan;
  lines: Line[];
  strikes: Strike[];
  store: StoreSeen;
  attempts: AttemptsSeen[];
  exec: ExecSeen[];
  workspace: { temporary: string[]; written: Map<string, string> };
  /** What was still to be done when we stopped waiting. */
  left: string[];
  /** Processes that ended although nobody killed them. */
  deaths: string[];
  /** A crash point that this load does not pass. */
  notReached: string[];
  startedAt: number;
  tookMs: number;
}

export interface Runner {
  run(plan: RoundPlan): Promise<Observation>;
  client(): Client;
  close(): Promise<void>;
}

export interface RunnerOptions {
  stage: Stage;
  /** No request to the oracle for this long is a part of being quiet. */
  silenceMs?: number;
  quietWithinMs?: number;
  brokenBuild?: string;
}

export async function openRunner({
  stage,
  silenceMs = 1_000,
  quietWithinMs = 60_000,
  brokenBuild,
}: RunnerOptions): Promise<Runner> {
  const connection = Connection.lazy({ address: stage.stack.temporalAddress });
  const client = new Client({ connection });
  let cast: Product[] = [];
  let offset = 0;
  const deaths: string[] = [];

  function start(role: Role, options: Start = {}): Product {
    const product = stage.start(role, { brokenBuild, ...options });
    product.ended
      .then(({ expected }) => {
        if (!expected) deaths.push(`a ${role} ended by itself`);
      })
      .catch(() => {});
    return product;
  }

  async function setUp({ processes, blows }: RoundPlan): Promise<void> {
    const armed = blows[0] && pointOf(blows[0]) !== undefined ? processes.indexOf(blows[0].victim as Role) : -1;
    if (stage.isFresh()) {
      cast = processes.map((role) => start(role));
      await Promise.all(cast.map(({ ready }) => ready));
      await waitForQuiet(); // what a first start does must not pass the point that the next one is armed with
    }
    const same = cast.length === processes.length && cast.every(({ role }, at) => role === processes[at]);
    // One that has not passed its point in the last round must not do so in this one.
    const kept = same ? cast.filter(({ crashAt }, at) => !crashAt && at !== armed) : [];
    await Promise.all(cast.filter((product) => !kept.includes(product)).map((product) => product.kill()));
    cast = processes.map((role, at) => {
      const old = cast[at];
      if (old && kept.includes(old)) return old;
      return start(role, at === armed ? { crashAt: pointOf(blows[0]) } : {});
    });
    // An armed process may have passed its point already: then the blow has fallen.
    await Promise.all(cast.map(({ ready }) => ready.catch(() => {})));
  }

  /** `next`: the blow that follows, for which the successor is armed. */
  function replace(product: Product, next?: Blow): void {
    const crashAt = next?.victim === product.role ? pointOf(next) : undefined;
    cast[cast.indexOf(product)] = start(product.role, { crashAt });
  }

  async function killServers(
    servers: ('temporal' | 'postgres')[],
    downMs: number,
  ): Promise<{ at: number; until: number }> {
    const at = monotonicMs();
    await Promise.all(servers.map((server) => stage.killServer(server)));
    await sleep(downMs);
    await stage.startServers();
    return { at, until: monotonicMs() + 3_000 }; // a heartbeat that was lost meanwhile is missed 1.5 s later
  }

  async function strike(
    { victim, freezeMs, downMs = 0 }: Blow,
    { choice, next }: { choice: number; next?: Blow },
  ): Promise<Strike> {
    switch (victim) {
      case 'temporal':
      case 'postgres':
        return { victim, kind: 'kill', ...(await killServers([victim], downMs)) };
      case 'everything': {
        const dead = [...cast];
        const at = monotonicMs();
        await Promise.all(dead.map((product) => product.kill()));
        const { until } = await killServers(['temporal', 'postgres'], downMs);
        for (const product of dead) replace(product, next);
        return { victim, kind: 'kill', at, until };
      }
      case 'command':
      case 'supervisor':
        return { victim, kind: 'kill', ...(await killCommand(stage, victim)) };
      default: {
        const candidates = cast.filter(({ role }) => role === victim);
        const product = candidates[choice % candidates.length];
        if (!product) throw new Error(`no ${victim} runs`);
        if (freezeMs === undefined) {
          const at = await product.kill();
          replace(product, next);
          return { victim, kind: 'kill', at, until: at };
        }
        const at = monotonicMs();
        product.freeze();
        await sleep(freezeMs);
        product.thaw();
        return { victim, kind: 'freeze', at, until: monotonicMs() + 3_000 };
      }
    }
  }

  async function fall(plan: RoundPlan, loading: Promise<void>): Promise<{ strikes: Strike[]; notReached: string[] }> {
    const strikes: Strike[] = [];
    const notReached: string[] = [];
    for (const [index, blow] of plan.blows.entries()) {
      const next = plan.blows[index + 1];
      const point = pointOf(blow);
      if (point === undefined) {
        if (blow.when === 'a command runs') await commandRuns(stage);
        else if ('afterMs' in blow.when) await sleep(blow.when.afterMs);
        strikes.push(await strike(blow, { choice: plan.index + index, next }));
        continue;
      }
      const victim = cast.find(({ role }) => role === blow.victim);
      if (!victim) throw new Error(`no ${blow.victim} runs`);
      const end = await Promise.race([victim.ended, loading.then(waitForQuiet)]);
      if (Array.isArray(end)) notReached.push(point);
      else {
        replace(victim, next);
        strikes.push({ victim: blow.victim, kind: 'kill', point, at: end.at, until: end.at });
      }
    }
    return { strikes, notReached };
  }

  /** What is left to do when time is up; empty as soon as all is quiet. */
  async function waitForQuiet(): Promise<string[]> {
    const end = monotonicMs() + quietWithinMs;
    for (;;) {
      const left = await whatIsLeft().catch((error: Error) => [`no answer: ${error.message}`]);
      if (left.length === 0 || monotonicMs() > end) return left;
      await sleep(200);
    }
  }

  async function whatIsLeft(): Promise<string[]> {
    const { lines } = readJournal(stage.journal, offset);
    const last = lines.at(-1)?.at ?? 0;
    if (monotonicMs() - last < silenceMs) return ['the oracle is being asked'];
    const waiting = await stage.unacknowledged();
    const posted = lines.flatMap((line) => (line.kind === 'posted' ? [`m${line.number}`] : []));
    const missing = await countMissing(stage, [...new Set(posted)]);
    return [
      ...(waiting > 0 ? [`${waiting} messages not acknowledged`] : []),
      ...(missing > 0 ? [`${missing} messages not in the store`] : []),
      ...(await leftToDo(stage, client)),
    ];
  }

  return {
    client: () => client,
    async run(plan) {
      await setUp(plan);
      deaths.length = 0;
      offset = readJournal(stage.journal, offset).offset;
      const startedAt = monotonicMs();
      const loading = postAll(stage, plan);
      const { strikes, notReached } = await fall(plan, loading);
      await loading;
      const left = await waitForQuiet();
      const { lines } = readJournal(stage.journal, offset);
      const store = await readStore(stage, plan.prefix);
      return {
        plan,
        lines,
        strikes,
        notReached,
        left,
        deaths: [...deaths],
        store,
        attempts: await readAttempts(client, store.turns),
        exec: await readExecLog(stage.workspace),
        workspace: await readWorkspace(stage.workspace),
        startedAt,
        tookMs: monotonicMs() - startedAt,
      };
    },
    async close() {
      await Promise.all(cast.map((product) => product.kill()));
      await connection.close();
    },
  };
}

function pointOf(blow: Blow | undefined): string | undefined {
  return typeof blow?.when === 'object' && 'point' in blow.when ? blow.when.point : undefined;
}

async function postAll(stage: Stage, { posts }: RoundPlan): Promise<void> {
  const began = monotonicMs();
  for (const { atMs, ...message } of [...posts].sort((a, b) => a.atMs - b.atMs)) {
    await sleep(Math.max(0, began + atMs - monotonicMs()));
    await stage.post(message);
  }
}

/** Kills the shell of a running command, or what watches over it; waits for one to run. */
async function killCommand(stage: Stage, victim: 'command' | 'supervisor'): Promise<{ at: number; until: number }> {
  const { supervisor, command } = await commandRuns(stage);
  process.kill(victim === 'supervisor' ? supervisor : command, 'SIGKILL');
  return { at: monotonicMs(), until: monotonicMs() };
}

/** Resolves as soon as a command runs, with the pids of it and of what watches over it. */
async function commandRuns({ home }: Stage): Promise<{ supervisor: number; command: number }> {
  const end = monotonicMs() + 30_000;
  while (monotonicMs() < end) {
    const [running] = await runningCommands(home);
    const command = running && (await childOf(running.pid));
    if (command) return { supervisor: running.pid, command };
    await sleep(20);
  }
  throw new Error('no command runs');
}

async function childOf(parent: number): Promise<number | undefined> {
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (Number(fields[1]) === parent) return Number(name);
  }
  return undefined;
}
