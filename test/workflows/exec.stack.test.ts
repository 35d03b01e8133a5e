// Commands under a turn, with the real tool and its supervisor: what a stop leaves behind, and what the transcript keeps.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createExecTool } from '../../activities/tools/exec/exec.js';
import { lookAtExec } from '../../activities/tools/exec/folder.js';
import { readFileTool } from '../../activities/tools/read-file.js';
import type { Tool } from '../../activities/tools/tool.js';
import { writeFileTool } from '../../activities/tools/write-file.js';
import { type Chat, startChat } from '../support/chat.js';
import { asksFor, says } from '../support/model-server.js';
import { byMessage } from '../support/plans.js';

let chat: Chat;
let chats = 0;

beforeAll(async () => {
  chat = await startChat({
    tools: (dataDir) =>
      [createExecTool({ dataDir, sandbox: async () => ({ kind: 'off' }) }), writeFileTool, readFileTool] as Tool[],
    script: byMessage({
      'run and read': [
        asksFor('exec', { command: 'echo from the command > made.txt; echo done; echo oops >&2; exit 3' }),
        asksFor('read_file', { path: 'made.txt' }),
        says('It was made.'),
      ],
      'sleep long': [
        asksFor('exec', { command: 'echo started; echo $$ > pid.txt; sleep 90; echo late > late.txt' }),
        says('never said'),
      ],
      'time over': [asksFor('exec', { command: 'echo begun; sleep 30', timeout: 1 }), says('It took too long.')],
    }),
  });
});
afterAll(() => chat.close());

async function say(text: string) {
  const place = `chat ${++chats}`;
  const { turnId, conversationId } = await chat.say(text, { chat: place });
  return { place, turnId: turnId ?? '', conversationId };
}

test('a command runs, its output is kept, and the next tool sees what it made', async () => {
  const { turnId, conversationId } = await say('run and read');
  await chat.ended(turnId);
  const said = await chat.transcript(conversationId);
  expect(said[2]).toBe('tool: Exit code 3.\nstdout:\ndone\n\nstderr:\noops\n');
  expect(said[4]).toContain('from the command');
  expect(said.at(-1)).toBe('assistant: It was made.');
});

test('a stop ends the command with all that it started, and keeps what it had written', async () => {
  const { turnId, conversationId, place } = await say('sleep long');
  const pid = Number(await waitForFile(join(chat.workspace, 'pid.txt')));
  await chat.say('/stop', { chat: place, command: 'stop' });
  expect((await chat.ended(turnId)).state).toBe('stopped');
  expect(await lookAtExec(chat.dataDir, `${turnId}/s1.c1`)).toMatchObject({
    kind: 'exited',
    exit: { ended: 'stopped' },
  });
  expect(() => process.kill(pid, 0)).toThrow('ESRCH');
  const said = await chat.transcript(conversationId);
  expect(said[2]).toMatch(/^tool: Error: the command was stopped\..*Output so far:\nstdout:\nstarted/s);
  expect(said.at(-1)).toBe('notice: stopped.');
});

test('a command that takes too long is ended by its own limit, and the turn goes on', async () => {
  const { turnId, conversationId } = await say('time over');
  expect((await chat.ended(turnId)).state).toBe('answered');
  expect((await chat.transcript(conversationId))[2]).toMatch(/^tool: Error: time over after 1 s\..*begun/s);
});

async function waitForFile(path: string): Promise<string> {
  for (;;) {
    const text = await readFile(path, 'utf8').catch(() => '');
    if (text.endsWith('\n')) return text;
    await sleep(20);
  }
}
