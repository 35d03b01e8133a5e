import { expect, test } from '@jest/globals';
import { decide, fits, type ProposedCall, toRefusal } from '../../policy/decide.js';

const exec: ProposedCall = {
  tool: 'exec',
  arguments: { command: 'git push' },
  effect: 'once',
  defaultPolicy: 'allow',
  leavesMachine: false,
};
const clean = { tainted: false };

test('without a rule the default of the tool decides', () => {
  expect(decide(exec, [], clean)).toEqual({ kind: 'allow', reason: 'the default of exec' });
});

test('the first rule that matches speaks', () => {
  const rules = [
    { tool: 'exec', match: { command: 'git push*' }, decision: 'deny' as const, reason: 'nothing is published' },
    { tool: '*', decision: 'allow' as const },
  ];
  expect(decide(exec, rules, clean)).toEqual({ kind: 'deny', reason: 'nothing is published' });
  expect(decide({ ...exec, arguments: { command: 'ls' } }, rules, clean).kind).toBe('allow');
});

test('outside text makes an allowed effect a question, and never a denied one an allowed', () => {
  const tainted = { tainted: true };
  expect(decide(exec, [{ tool: 'exec', decision: 'allow' }], tainted).kind).toBe('ask');
  expect(decide({ ...exec, effect: 'read' }, [], tainted).kind).toBe('allow');
  expect(decide({ ...exec, effect: 'read', leavesMachine: true }, [], tainted).kind).toBe('ask');
  expect(decide(exec, [{ tool: 'exec', decision: 'deny' }], tainted).kind).toBe('deny');
});

test.each([
  ['exec', 'exec', true],
  ['exec', 'exec2', false],
  ['mcp_*_read*', 'mcp_files_read_all', true],
  ['mcp_*_read*', 'mcp_files_write', false],
  ['a*a', 'a', false],
  ['*', '', true],
  ['*ab*ab', 'abab', true],
  ['a.c', 'abc', false],
])('the pattern %s against %s: %s', (pattern, text, expected) => {
  expect(fits(pattern, text)).toBe(expected);
});

test('a refusal names the rule that would allow the call', () => {
  expect(toRefusal('exec', { kind: 'ask', reason: 'the default of exec' })).toBe(
    'Error: exec needs the person\'s approval (the default of exec). It was not run. The person can allow it with the rule { "tool": "exec", "decision": "allow" } in policy.rules of config.json.',
  );
});
