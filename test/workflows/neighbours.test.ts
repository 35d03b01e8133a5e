import { expect, test } from '@jest/globals';
import type { PlannedCall } from '../../workflows/contract.js';
import { neighbours } from '../../workflows/neighbours.js';

function call(callId: string, kind: 'read' | 'write' | 'spawn'): PlannedCall {
  const child = { turnId: '2-1', workflowId: 'turn/1/1/sub/x', wait: true };
  return {
    callId,
    tool: kind,
    effect: kind === 'read' ? 'read' : 'idempotent',
    decision: 'allow',
    timeoutMs: 1_000,
    summary: kind,
    ...(kind === 'spawn' && { child }),
  };
}

test.each<[string, ('read' | 'write' | 'spawn')[], number[][]]>([
  ['neighbouring reads have company', ['read', 'read', 'read'], [[0, 1, 2]]],
  ['neighbouring spawns have company', ['spawn', 'spawn'], [[0, 1]]],
  ['everything else runs alone', ['write', 'write'], [[0], [1]]],
  ['a write parts the reads around it', ['read', 'write', 'read', 'read'], [[0], [1], [2, 3]]],
  ['reads and spawns do not mix', ['read', 'spawn', 'read'], [[0], [1], [2]]],
  ['no call, no group', [], []],
])('%s', (_name, kinds, expected) => {
  const calls = kinds.map((kind, index) => call(`s1.c${index + 1}`, kind));
  expect(neighbours(calls)).toEqual(expected.map((group) => group.map((index) => calls[index])));
});
