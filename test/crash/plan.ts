// From a seed to everything that a round does: who writes what and when, whom a blow hits and when. The same seed gives the same
// plan; the scheduler of the operating system it does not rule.
import { createHash } from 'node:crypto';
import type { Post } from './oracle.js';
import type { Role } from './processes.js';
import { type Plan, type PlannedCall, toText } from './script.js';

/** `command` and `supervisor` are those of a running `exec`. */
export type Victim = Role | 'temporal' | 'postgres' | 'everything' | 'command' | 'supervisor';

export interface Blow {
  victim: Victim;
  /**
   * A crash point as `armCrashPoint` takes it: the process is armed when it starts, after the blow before. Or a moment after the load
   * began, or after the blow before. Or as soon as a command of `exec` runs.
   */
  when: { point: string } | { afterMs: number } | 'a command runs';
  /** It is frozen that long instead of killed. */
  freezeMs?: number;
  /** A server stays away that long. */
  downMs?: number;
}

export interface TimedPost extends Post {
  atMs: number;
}

export interface RoundPlan {
  row: string;
  index: number;
  /** Begins the names of this round's chats. */
  prefix: string;
  processes: readonly Role[];
  posts: TimedPost[];
  blows: Blow[];
}

export type Random = () => number;

/** mulberry32, seeded with a hash of what names the round. */
export function randomOf(...names: (string | number)[]): Random {
  let state = createHash('sha256').update(names.join('/')).digest().readUInt32LE(0);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function between(random: Random, low: number, high: number): number {
  return Math.floor(low + random() * (high - low));
}

export function oneOf<Item>(random: Random, items: readonly Item[]): Item {
  const item = items[Math.floor(random() * items.length)];
  if (item === undefined) throw new Error('nothing to choose from');
  return item;
}

export interface LoadShape {
  conversations: number;
  /** The plan of each message. */
  plan(random: Random): Plan;
  /** Share of chats in which a second message arrives while the first is being answered. */
  steered?: number;
  /** Share of chats that get a /stop. */
  stopped?: number;
  /** Share of chats on the platform where nobody can look. */
  blind?: number;
}

/** The next number of a message in this run: one is never used twice. */
export type NextNumber = () => number;

/** Deliveries: 20 % doubled, 10 % out of order, as platforms do it. */
export function loadOf(shape: LoadShape, prefix: string, random: Random, next: NextNumber): TimedPost[] {
  const posts: TimedPost[] = [];
  for (let n = 1; n <= shape.conversations; n++) {
    const chat = { chat: `${prefix}.c${n}`, channel: random() < (shape.blind ?? 0) ? 'blind' : 'fake', from: 'ann' };
    const atMs = between(random, 0, 300);
    const write = (at: number, changes: Partial<Post> = {}) => {
      const number = next();
      posts.push({ number, ...chat, text: toText(number, shape.plan(random)), atMs: at, ...changes });
    };
    write(atMs);
    if (random() < (shape.steered ?? 0))
      write(atMs + between(random, 100, 1_500), { from: oneOf(random, ['ann', 'bob']) });
    if (random() < (shape.stopped ?? 0)) write(atMs + between(random, 400, 1_500), { text: '/stop', command: 'stop' });
  }
  posts.sort((a, b) => a.atMs - b.atMs);
  for (let i = 1; i < posts.length; i++) {
    const [before, post] = [posts[i - 1], posts[i]];
    if (before && post && before.chat !== post.chat && random() < 0.1) [posts[i - 1], posts[i]] = [post, before];
  }
  return posts.flatMap((post) =>
    random() < 0.2 ? [post, { ...post, atMs: post.atMs + between(random, 0, 500) }] : [post],
  );
}

/** `count` calls in steps of one to three. */
export function mixedPlan(random: Random, count: number, calls: readonly ((random: Random) => PlannedCall)[]): Plan {
  const steps: PlannedCall[][] = [];
  for (let left = count; left > 0; ) {
    const size = Math.min(left, between(random, 1, 4));
    steps.push(Array.from({ length: size }, () => oneOf(random, calls)(random)));
    left -= size;
  }
  return { steps, words: between(random, 2, 12), wordMs: between(random, 2, 12) };
}

export const calls = {
  look: (random: Random): PlannedCall => ({ tool: 'look', ms: between(random, 5, 150) }),
  fetch: (random: Random): PlannedCall => ({ tool: 'fetch', ms: between(random, 20, 400) }),
  put: (random: Random): PlannedCall => ({ tool: 'put', ms: between(random, 20, 400) }),
  mail: (random: Random): PlannedCall => ({ tool: 'mail', ms: between(random, 20, 400) }),
  exec: (random: Random): PlannedCall => ({ tool: 'exec', ms: between(random, 50, 1_500) }),
  write: (): PlannedCall => ({ tool: 'write_file' }),
};
