import { CancellationScope, setCurrentDetails, sleep, upsertSearchAttributes } from '@temporalio/workflow';
import type { TurnOutcome, TurnRef } from './contract.js';
import { runLoop } from './loop.js';
import { deliver } from './proxies.js';
import { outcomeAttribute } from './readable.js';

export interface TurnStart extends TurnRef {
  /** For the UI only: the turn's row decides. */
  model: string;
  /** The claim's `not_before`: albums and collected messages wait this long. */
  delayMs?: number;
  /** Replies are visible as soon as they stand in the transcript (terminal, console, API): there is nothing to deliver. */
  inTranscript?: boolean;
}

/** Answers the messages of one turn. Ends when the answer is delivered or handed to `delivery`, always with something visible. */
export async function turn({ turnId, model, delayMs, inTranscript }: TurnStart): Promise<TurnOutcome | 'superseded'> {
  if (delayMs) await sleepUnlessStopped(delayMs);
  const outcome = await runLoop({ turnId }, model);
  if (outcome === 'superseded') return outcome;
  // A late stop must not swallow a finished reply.
  await CancellationScope.nonCancellable(async () => {
    setCurrentDetails(`Ended: ${outcome}`);
    upsertSearchAttributes([outcomeAttribute(outcome)]);
    if (!inTranscript) await deliver({ turnId });
  });
  return outcome;
}

// A cancel here is not an end yet: the loop's first activity finds the mark and the turn closes as stopped.
async function sleepUnlessStopped(ms: number): Promise<void> {
  try {
    await sleep(ms, { summary: 'more may arrive' });
  } catch {
    // Only a cancel ends this timer early, and the loop meets it again.
  }
}
