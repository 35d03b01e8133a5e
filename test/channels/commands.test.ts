import { expect, test } from '@jest/globals';
import { helpText, parseCommand } from '../../channels/commands.js';
import { terminalCommands } from '../../channels/terminal/chat-commands.js';
import { nearest } from '../../workers/settings/nearest.js';

const parse = (text: string) => parseCommand(text, terminalCommands, nearest);

test.each([
  ['hello', { kind: 'message' }],
  ['/etc/hosts is wrong', { kind: 'message' }],
  ['what does /stop do?', { kind: 'message' }],
  ['/stop', { kind: 'command', name: 'stop', rest: '' }],
  ['  /STOP  ', { kind: 'command', name: 'stop', rest: '' }],
  ['/clear', { kind: 'command', name: 'new', rest: '' }],
  ['/model fast one', { kind: 'command', name: 'model', rest: 'fast one' }],
])('%j is %j', (text, parsed) => {
  expect(parse(text)).toEqual(parsed);
});

test.each([
  ['/sttaus', 'There is no command /sttaus. Did you mean /status? It was not sent.'],
  ['/xyzzy now', 'There is no command /xyzzy. See /help. It was not sent.'],
  ['/stop it', '/stop takes nothing after it. It was not carried out.'],
  ['/', 'There is no command /. See /help. It was not sent.'],
])('%j is refused with a sentence, and not sent', (text, sentence) => {
  expect(parse(text)).toEqual({ kind: 'refused', sentence });
});

test('/help has a line for each command', () => {
  expect(helpText(terminalCommands).split('\n')).toHaveLength(terminalCommands.length);
  expect(helpText(terminalCommands)).toContain('/model [name]  show the models');
});
