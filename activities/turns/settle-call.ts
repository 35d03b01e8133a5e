// What became of a call whose attempts are gone: "did not run" or "may have happened", written once and for all, but only when its
// holder gives no sign of life. No sign of life is no proof of death: a `once` call is never run again.
import { setTimeout as sleep } from 'node:timers/promises';
import type { StandingCall } from '../../store/effects.js';
import { unknownText } from '../../store/effects.js';
import type { Store } from '../../store/index.js';
import { NotNow } from '../../store/rows.js';
import type { CallOutcome, CallRef } from '../../workflows/contract.js';
import { asFailure } from '../attempt.js';
import type { Execs } from '../tools/exec/execs.js';
import { toStoredResult } from '../tools/stored-result.js';
import type { Tool } from '../tools/tool.js';

export interface SettleDeps {
  store: Store;
  execs: Execs;
  tools: ReadonlyMap<string, Tool>;
  maxResultChars: number;
}

// A running attempt renews its row every 250 ms.
const signOfLifeMs = 400;

/** Retry: the outcome that stands is returned. Fails retryably as `StillRunning` while the call's attempt or process lives. */
export function createSettleCall(deps: SettleDeps) {
  return (ref: CallRef): Promise<CallOutcome> =>
    asFailure(async () => {
      const seen = await deps.store.effects.read(ref);
      if (seen.state === 'planned') return deps.store.effects.settle(seen, didNotRun(seen.tool));
      if (seen.state !== 'started') return { outcome: seen.state, bytes: seen.bytes, tainted: seen.tainted };
      if (seen.attaches && seen.host === deps.execs.host) return settleByFolder(deps, seen);
      await sleep(signOfLifeMs);
      const later = await deps.store.effects.read(ref);
      if (later.renewedAt !== seen.renewedAt || later.state !== 'started') throw stillRunning();
      const known = await deps.tools.get(seen.tool)?.reconcile?.(`${ref.turnId}/${ref.callId}`);
      return deps.store.effects.settle(
        seen,
        known === 'happened'
          ? { outcome: 'done', text: `${seen.tool} was interrupted, and a look afterwards shows that it took effect.` }
          : { outcome: 'unknown', text: unknownText(seen.tool) },
      );
    });
}

// On the call's own host its folder tells more than any sign of life.
async function settleByFolder(
  { store, execs, tools, maxResultChars }: SettleDeps,
  seen: StandingCall,
): Promise<CallOutcome> {
  const end = await execs.lookOrEntomb(seen);
  switch (end.kind) {
    case 'running':
      throw stillRunning();
    case 'never':
      return store.effects.settle(seen, didNotRun(seen.tool));
    case 'lost':
      return store.effects.settle(seen, { outcome: 'unknown', text: unknownText(seen.tool) });
    case 'exited': {
      const tool = tools.get(seen.tool);
      const { sameCalls } = seen;
      return store.effects.settle(
        seen,
        toStoredResult(end.result, { tool, ref: seen, sameCalls, maxChars: maxResultChars }),
      );
    }
    default:
      return end satisfies never;
  }
}

function stillRunning(): NotNow {
  return new NotNow('StillRunning', 'The call still gives signs of life', 500);
}

function didNotRun(tool: string) {
  return {
    outcome: 'not run',
    text: `Error: ${tool} did not run: its worker failed before it began. Call it again if it is still wanted.`,
  } as const;
}
