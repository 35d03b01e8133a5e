// Which calls of a step run side by side. Pure.
import type { PlannedCall } from './contract.js';

/** Only reads and spawns have company; everything else runs alone, in the model's order. */
export function neighbours(calls: readonly PlannedCall[]): PlannedCall[][] {
  const groups: PlannedCall[][] = [];
  for (const call of calls) {
    const group = groups.at(-1);
    const company = companyOf(call);
    if (group?.[0] && company !== 'alone' && companyOf(group[0]) === company) group.push(call);
    else groups.push([call]);
  }
  return groups;
}

function companyOf(call: PlannedCall): 'reads' | 'spawns' | 'alone' {
  if (call.child) return 'spawns';
  return call.effect === 'read' ? 'reads' : 'alone';
}
