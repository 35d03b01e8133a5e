// Whether a planned call runs. Until a person can be asked, `ask` was answered by a denial when the call was planned, and its result
// names the rule that would allow it.
import type { PlannedCall } from './contract.js';

export function mayRun({ decision }: PlannedCall): boolean {
  return decision === 'allow';
}
