import type { Engine, StartableTurn } from '../../workflows/contract.js';

interface StartDeps {
  engine: Engine;
  onError(message: string, error: unknown): void;
}

/** Follows a commit that claimed turns. What cannot be started now is started by the next sweep, so nothing rejects here. */
export async function startClaimed({ engine, onError }: StartDeps, turns: readonly StartableTurn[]): Promise<void> {
  for (const turn of turns) {
    await engine.startTurn(turn).catch((error: unknown) => onError('A claimed turn is left to the sweep', error));
  }
}
