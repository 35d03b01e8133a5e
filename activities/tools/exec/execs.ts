// The commands of this host, as those see them who close turns and settle calls. The folder of a call decides; the store only
// says which calls still have a claim to run.
import type { CallRef } from '../../../workflows/contract.js';
import type { ToolResult } from '../tool.js';
import { endExec, endOrEntomb } from './attach.js';
import { hostId, listExecs, lookAtExec, makeTombstone, removeExec, removeStrays } from './folder.js';
import { toResult } from './result.js';

export type CommandEnd = { kind: 'never' } | { kind: 'lost' } | { kind: 'exited'; result: ToolResult };

export interface Execs {
  /** Names this host in the ledger. */
  readonly host: string;
  /** What became of a call that its attempts left `started`. One that has not begun never will afterwards. Ends nothing. */
  lookOrEntomb(ref: CallRef): Promise<CommandEnd | { kind: 'running' }>;
  /** The same, but what runs is ended, within 2 s. Safe to call again. */
  endOrEntomb(ref: CallRef): Promise<CommandEnd['kind']>;
  /** Ends what runs on, or was left behind, although its call has an outcome or its turn is closed. Rejects when the store is away: nothing is ended. */
  endThoseWithOutcome(): Promise<void>;
  /** Removes the folders of such calls. Output and exit codes are in the store by then. */
  forgetEnded(olderThanMs: number): Promise<void>;
}

export interface ExecsDeps {
  dataDir: string;
  /** Of these calls, given as `<turn>/<callId>`, those that still run in an open turn. */
  liveCalls(keys: string[]): Promise<Set<string>>;
}

/** Makes the host's name on first use. */
export async function createExecs({ dataDir, liveCalls }: ExecsDeps): Promise<Execs> {
  const keyOf = ({ turnId, callId }: CallRef) => `${turnId}/${callId}`;

  // Listed before the store is asked: a call has its intent there before it has a folder here.
  async function withoutClaim() {
    const listed = await listExecs(dataDir);
    if (listed.length === 0) return [];
    const live = await liveCalls(listed.map(({ key }) => key));
    return listed.filter(({ key }) => !live.has(key));
  }

  return {
    host: await hostId(dataDir),

    async lookOrEntomb(ref) {
      await makeTombstone(dataDir, keyOf(ref)); // refused when somebody has decided already
      const state = await lookAtExec(dataDir, keyOf(ref));
      if (state.kind === 'no folder') throw new Error('The folder of the call was removed meanwhile');
      return state.kind === 'exited'
        ? { kind: 'exited', result: toResult(dataDir, keyOf(ref), state) }
        : { kind: state.kind };
    },

    async endOrEntomb(ref) {
      const { kind } = await endOrEntomb(dataDir, keyOf(ref));
      if (kind === 'no folder') throw new Error('The folder of the call was removed meanwhile');
      return kind;
    },

    async endThoseWithOutcome() {
      const left = (await withoutClaim()).filter(({ state }) => state.kind === 'running' || state.kind === 'lost');
      await Promise.all(left.map(({ key }) => endExec(dataDir, key)));
    },

    async forgetEnded(olderThanMs) {
      for (const { key, changedAt } of await withoutClaim()) {
        if (Date.now() - changedAt.getTime() > olderThanMs) await removeExec(dataDir, key);
      }
      await removeStrays(dataDir);
    },
  };
}
