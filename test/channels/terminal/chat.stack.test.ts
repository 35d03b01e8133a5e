// The chat as a person sees it: a real worker, a scripted model, and a terminal that keeps its screen in a grid.
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { z } from 'zod';
import { defineTool, success, type Tool } from '../../../activities/tools/tool.js';
import { openChat, type Chat as Talk } from '../../../channels/terminal/chat.js';
import { createStyle } from '../../../channels/terminal/style.js';
import { nearest } from '../../../workers/settings/nearest.js';
import { type Chat, startChat } from '../../support/chat.js';
import { createFakeTerminal, type FakeTerminal } from '../../support/fake-terminal.js';
import { asksFor, type Script, says, together } from '../../support/model-server.js';

let chat: Chat;
const folder = mkdtempSync(join(tmpdir(), 'durabot-terminal-'));
const historyPath = join(folder, 'history');
const talks: Talk[] = [];
let leave: AbortController;

afterEach(async () => {
  leave.abort();
  await Promise.all(talks.map(({ ended }) => ended));
  talks.length = 0;
  gates.clear();
  await chat.close();
  rmSync(historyPath, { force: true });
});

/** A call waits until its gate is open. A gate stays open, since a busy machine may make a second attempt of the call. */
const gates = new Map<string, { begun: boolean; open(): void; opened: Promise<void> }>();
function gate(name: string) {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  const made = gates.get(name) ?? { begun: false, open: () => open(), opened };
  gates.set(name, made);
  return made;
}

const wait: Tool<{ name: string }> = defineTool({
  name: 'wait',
  description: 'Waits.',
  input: z.object({ name: z.string() }),
  effect: 'read',
  defaultPolicy: 'allow',
  timeoutMs: 60_000,
  summary: ({ name }) => `wait ${name}`,
  async run({ name }, { signal }) {
    gate(name).begun = true;
    const aborted = new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
    await Promise.race([gate(name).opened, aborted]);
    return success('gone on');
  },
});

async function start(script: Script): Promise<FakeTerminal> {
  chat = await startChat({ script, tools: [wait] });
  return talk();
}

function talk(): FakeTerminal {
  leave = new AbortController();
  const terminal = createFakeTerminal();
  const opened = openChat(
    {
      store: chat.agent.store,
      listener: chat.agent.listener,
      accept: chat.accept,
      nearest,
      models: {
        list: () => 'the models',
        choose: (name) => (name === 'fast' ? { name } : { reason: `There is no ${name}.` }),
      },
      status: async () => 'all is well',
      onError: () => {},
    },
    {
      chat: 'cli',
      settings: {},
      stream: true,
      greeting: ['Welcome.'],
      historyPath,
      style: createStyle(false),
      input: terminal.input,
      output: terminal.output,
      signal: leave.signal,
    },
  );
  talks.push(opened);
  return terminal;
}

async function until(terminal: FakeTerminal, holds: () => boolean | Promise<boolean>): Promise<void> {
  const givenUpAt = performance.now() + 45_000; // only so that a failure shows what stood on the screen
  while (!(await holds())) {
    if (performance.now() > givenUpAt) throw new Error(`It never held:\n${terminal.screen()}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

test('text is shown while it is written, and stands as it was meant in the end', async () => {
  const terminal = await start([says(['# Plan\n\nFirst ', 'thing.\n\n- on', 'e\n- two'], { heldAfter: 2 })]);
  terminal.type('hello\r');
  await terminal.shows('- on\n');
  expect(terminal.screen()).toContain('› hello\nPlan\n\nFirst thing.\n\n- on\n… working');
  chat.model.release();
  await terminal.shows('• two');
  await terminal.shows(/• two\n\n›$/);
  expect(terminal.screen()).toBe('Welcome.\n\n› hello\nPlan\n\nFirst thing.\n\n• one\n• two\n\n›');
});

test('each call has one line with its state', async () => {
  const terminal = await start(({ messages }) =>
    messages.some(({ role }) => role === 'tool')
      ? says('Done.')
      : together(says('I look.'), asksFor('wait', { name: 'a' }), asksFor('wait', { name: 'b' })),
  );
  terminal.type('go\r');
  await terminal.shows('· wait b');
  expect(terminal.screen()).toContain('I look.\n\n· wait a\n· wait b\n… working');
  await until(terminal, () => gate('a').begun && gate('b').begun);
  gate('a').open();
  await terminal.shows('✓ wait a\n· wait b');
  gate('b').open();
  await terminal.shows('Done.\n\n›');
  expect(terminal.screen()).toContain('I look.\n\n✓ wait a\n✓ wait b\n\nDone.');
});

test('what is typed during a turn joins it, and the person is told', async () => {
  const terminal = await start(({ messages }) =>
    messages.some(({ role }) => role === 'tool') ? says('Both.') : asksFor('wait', { name: 'a' }),
  );
  terminal.type('first\r');
  await until(terminal, () => gate('a').begun); // else it would be skipped for the message
  terminal.type('second\r');
  await until(terminal, async () => (await chat.test.pool.query('select from inbox')).rowCount === 2);
  gate('a').open();
  await terminal.shows('(joined the running turn)');
  await terminal.shows('Both.\n\n›');
  expect(chat.model.requests()[1]?.body.messages.at(-1)).toMatchObject({
    role: 'user',
    content: expect.stringContaining('second'),
  });
});

test('Ctrl-C stops the turn, a second one leaves', async () => {
  const terminal = await start([says(['I begin ', 'and never end'], { heldAfter: 1 })]);
  terminal.type('go\r');
  await terminal.shows('I begin');
  terminal.type('\u0003');
  await terminal.shows('stopped.');
  expect(terminal.screen()).toContain('I begin\n\nstopped.');
  terminal.type('half a line\u0003');
  await terminal.shows(/›$/);
  terminal.type('\u0003');
  await terminal.shows('Ctrl-C again leaves.');
  terminal.type('\u0003');
  await talks[0]?.ended;
});

test('commands act without the model, and a wrong one is not sent', async () => {
  const terminal = await start([]);
  for (const [typed, shown] of [
    ['/status', 'all is well'],
    ['/stpo', 'Did you mean /stop? It was not sent.'],
    ['/model slow', 'There is no slow.'],
    ['/model fast', 'fast answers in this chat'],
    ['/stop', 'Nothing is running.'],
    ['/new', 'A new context begins here.'],
    ['/help', '/quit, /exit'],
  ] as const) {
    terminal.type(`${typed}\r`);
    await terminal.shows(shown);
  }
  terminal.type('/quit\r');
  await talks[0]?.ended;
  expect(chat.model.requests()).toEqual([]);
});

test('several lines are one message: by a backslash, by Alt+Enter, by a paste', async () => {
  const terminal = await start([says('1.'), says('2.'), says('3.')]);
  terminal.type('a\\\rb\r');
  await terminal.shows('1.\n\n›');
  terminal.type('c\u001b\rd\r');
  await terminal.shows('2.\n\n›');
  terminal.type('\u001b[200~e\nf\u001b[201~g\r');
  await terminal.shows('3.\n\n›');
  const asked = chat.model.requests().map(({ body }) => String(body.messages.at(-1)?.content).split('\n\n')[0]);
  expect(asked).toEqual(['a\nb', 'c\nd', 'e\nfg']);
});

test('a chat that is opened again shows where it was, and goes on with its open turn', async () => {
  const terminal = await start([says('Good morning.'), says(['It goes ', 'on.'], { heldAfter: 1 })]);
  terminal.type('hello\r');
  await terminal.shows('Good morning.\n\n›');
  leave.abort();
  await talks[0]?.ended;
  const again = talk();
  await again.shows('› hello\nGood morning.\n\n›');
  again.type('and now?\r');
  await again.shows('It goes');
  leave.abort();
  await talks[1]?.ended;
  const third = talk();
  await third.shows('… working');
  chat.model.release();
  await third.shows('It goes on.\n\n›');
  expect(third.screen()).toContain('› and now?');
});

test('what was typed is kept for the next time, for its owner only', async () => {
  const terminal = await start([says('Hi.')]);
  terminal.type('remember me\r');
  await terminal.shows('Hi.\n\n›');
  expect(statSync(historyPath).mode & 0o777).toBe(0o600);
  expect(readFileSync(historyPath, 'utf8')).toBe('remember me\n');
  leave.abort();
  await talks[0]?.ended;
  const again = talk();
  await again.shows('Hi.\n\n›');
  again.type('\u001b[A');
  await again.shows('› remember me');
});

test('an answer longer than the screen leaves nothing twice', async () => {
  const lines = Array.from({ length: 50 }, (_, index) => `Line ${index}.\n`);
  const terminal = await start([says(lines, { heldAfter: 40 })]);
  terminal.type('go\r');
  await terminal.shows('Line 39.');
  chat.model.release();
  await terminal.shows('Line 49.\n\n›');
  expect(terminal.screen()).toBe(`Welcome.\n\n› go\n${lines.join('')}\n›`);
});
