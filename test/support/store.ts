// A store on a database of its own, with the smallest honest versions of what workers/ hands in.
import { randomUUID } from 'node:crypto';
import type { Incoming } from '../../store/conversations.js';
import { noCrashPoint } from '../../store/crash-points.js';
import type { NoticeFacts, StoreDeps } from '../../store/deps.js';
import { createStore, type Store } from '../../store/index.js';
import { openPool, type Pool } from '../../store/pool.js';
import type { Attempt } from '../../store/rows.js';
import type { CallPlan, StepRecord } from '../../store/transcript.js';
import { createTestDatabase } from './database.js';

export interface TestStore {
  store: Store;
  pool: Pool;
  databaseUrl: string;
  deps: StoreDeps;
  close(): Promise<void>;
}

/** `fake` is a channel that is not the transcript: its replies wait in the outbox. */
export async function openTestStore(changes: Partial<StoreDeps> = {}): Promise<TestStore> {
  const database = await createTestDatabase();
  const pool = openPool({ databaseUrl: database.databaseUrl, max: 20 });
  // Workflow ids are made from the ids of conversations and addresses, and all test files share one engine.
  for (const table of ['conversation', 'address']) {
    await pool.query(`alter table ${table} alter column id restart with ${Math.floor(Math.random() * 2 ** 40) + 1}`);
  }
  const deps: StoreDeps = {
    pool,
    crashPoint: noCrashPoint,
    transcriptChannels: ['terminal'],
    limits: {
      chat: { steps: 200, workMs: 7_200_000, tokens: 2_000_000, costMicros: null },
      subagent: { steps: 15, workMs: 3_600_000, tokens: 2_000_000, costMicros: null },
      childrenAtOnce: 4,
    },
    estimateTokens: (text) => Math.ceil(text.length / 4),
    notice: ({ outcome, waiting }: NoticeFacts) => [`${outcome}.`, ...waiting].join(' '),
    split: (_channel, text) => [text],
    ...changes,
  };
  const close = async () => {
    await pool.end();
    await database.drop();
  };
  return { store: createStore(deps), pool, databaseUrl: database.databaseUrl, deps, close };
}

export function message(text: string, changes: Partial<Incoming> = {}): Incoming {
  return {
    channel: 'terminal',
    account: 'local',
    chat: 'cli',
    externalId: randomUUID(),
    externalUserId: 'owner',
    text,
    ...changes,
  };
}

/** An attempt of the run that owns a turn. */
export function attemptOf(owner: string, changes: Partial<Attempt> = {}): Attempt {
  return { token: randomUUID(), workflowId: owner, runId: `run of ${owner}`, number: 1, ...changes };
}

export function call(callId: string, tool: string, changes: Partial<CallPlan> = {}): CallPlan {
  return {
    callId,
    tool,
    effect: 'idempotent',
    decision: 'allow',
    timeoutMs: 1_000,
    summary: tool,
    argsHash: `hash of ${tool}`,
    written: '{}',
    arguments: {},
    ...changes,
  };
}

export function reply(turnId: string, step: number, attempt: Attempt, changes: Partial<StepRecord> = {}): StepRecord {
  return {
    turnId,
    step,
    attempt,
    text: '',
    calls: [],
    limit: null,
    usage: {
      provider: 'test',
      model: 'test-1',
      requests: 1,
      inputTokens: 10,
      outputTokens: 2,
      cachedTokens: 0,
      reasoningTokens: 0,
      costMicros: null,
      estimated: false,
    },
    finishReason: 'stop',
    firstTokenMs: 1,
    ...changes,
  };
}
