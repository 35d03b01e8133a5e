import { CancellationScope, setCurrentDetails, upsertSearchAttributes } from '@temporalio/workflow';
import type { TurnOutcome, TurnRef } from './contract.js';
import { runLoop } from './loop.js';
import { outcomeAttribute } from './readable.js';

/** A piece of a turn's work with a brief, tools and limits of its own. Its closing writes the result; nobody is written to. */
export async function subagent(turn: TurnRef): Promise<TurnOutcome | 'superseded'> {
  const outcome = await runLoop(turn, 'model');
  await CancellationScope.nonCancellable(async () => {
    setCurrentDetails(`Ended: ${outcome}`);
    upsertSearchAttributes([outcomeAttribute(outcome)]);
  });
  return outcome;
}
