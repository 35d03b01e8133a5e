// `durabot run` as scripts and people meet it: real processes of the built program, a scripted model behind HTTP.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openTestHome, type Running, type TestHome } from '../support/home.js';
import { asksFor, failsWith, says, together } from '../support/model-server.js';
import { byMessage } from '../support/plans.js';

let at: TestHome;
let serve: Running;

beforeAll(async () => {
  at = await openTestHome(
    byMessage({
      'say hello': [says('Hello **there**.')],
      'with a tool': [asksFor('write_file', { path: 'a.txt', content: 'x' }), says('It is written.')],
      'in two words': [says(['first ', 'second'], { heldAfter: 1 })],
      'take your time': [says(['I begin ', 'and never end'], { heldAfter: 1 })],
      'bad key': [failsWith(401)],
      'escape me': [says('red \u001b[31mtext\u001b[0m\u0007')],
      'what is set': ({ messages }) =>
        messages.at(-1)?.role === 'tool'
          ? says(String(messages.at(-1)?.content))
          : asksFor('exec', { command: 'echo "$GREETING"' }),
      'show the context': (request) => says(String(request.messages.at(-1)?.content)),
      'two calls': [
        together(
          asksFor('write_file', { path: 'b.txt', content: '1' }),
          asksFor('write_file', { path: 'c.txt', content: '2' }),
        ),
        says('Both.'),
      ],
    }),
  );
  serve = at.start(['serve'], { holdOpen: true });
  await serve.says('is up');
}, 60_000);

afterAll(async () => {
  serve.child.kill('SIGTERM');
  expect(await serve.ended).toMatchObject({ code: 0 });
  await at.close();
}, 60_000);

test('the answer stands alone on stdout, progress on stderr', async () => {
  const { code, stdout, stderr } = await at.run(['run', 'do it with a tool']);
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: 'It is written.\n', stderr: '· write_file a.txt\n' });
});

test('--json prints the line that scripts rely on', async () => {
  const { stdout } = await at.run(['run', '--json', 'do two calls']);
  const line = JSON.parse(stdout);
  expect(line).toEqual({
    conversation: expect.stringMatching(/^\d+$/),
    turn: `${line.conversation}-1`,
    workflowId: `turn/${line.conversation}/1`,
    outcome: 'answered',
    answer: 'Both.',
    steps: 2,
    toolCalls: 2,
    usage: { inputTokens: expect.any(Number), outputTokens: expect.any(Number), cost: null },
  });
  const shown = await at.run(['session', 'show', line.conversation, '--json']);
  expect(JSON.parse(shown.stdout)).toMatchObject([
    { seq: 1, role: 'user', text: 'do two calls', turn: line.turn },
    {
      seq: 2,
      role: 'assistant',
      toolCalls: [{ id: `${line.turn}/s1.c1`, name: 'write_file' }, { name: 'write_file' }],
    },
    { seq: 3, role: 'tool', toolCallId: `${line.turn}/s1.c1` },
    { seq: 4, role: 'tool', toolCallId: `${line.turn}/s1.c2` },
    { seq: 5, role: 'assistant', text: 'Both.', at: expect.stringMatching(/^\d{4}-.*Z$/) },
  ]);
});

test('the prompt may come as an argument, by -p, or from stdin', async () => {
  const ways = await Promise.all([
    at.run(['run', 'say hello']),
    at.run(['run', '-p', 'say hello']),
    at.run(['run', '-p', '-'], { input: 'say hello\n' }),
    at.run(['run'], { input: 'say hello\n' }),
  ]);
  expect(ways.map(({ code, stdout }) => [code, stdout])).toEqual(ways.map(() => [0, 'Hello **there**.\n']));
});

test('with -g the chat has its context, without it every run is a conversation of its own', async () => {
  await at.run(['run', '-g', 'shop', 'say hello']);
  await at.run(['run', '-g', 'shop', 'say hello again']);
  const { stdout } = await at.run(['session', 'show', 'shop', '--json']);
  expect(JSON.parse(stdout).map(({ text }: { text: string }) => text)).toEqual([
    'say hello',
    'Hello **there**.',
    'say hello again',
    'Hello **there**.',
  ]);
});

test('--context brings the last messages of the chat cli', async () => {
  await at.run(['run', '-g', 'cli', 'say hello to context']);
  const { stdout } = await at.run(['run', '--context', '1', 'show the context']);
  expect(stdout).toContain('You: Hello **there**.');
  expect(stdout).not.toContain('I: say hello');
});

test('a second run with the same key is the same message', async () => {
  const asked = () => at.model.requests().length;
  const first = await at.run(['run', '--json', '--key', 'k1', 'say hello']);
  const before = asked();
  const second = await at.run(['run', '--json', '--key', 'k1', 'say hello']);
  expect(second.stdout).toBe(first.stdout);
  expect(asked()).toBe(before);
});

test('two runs at once with the same key get the one answer', async () => {
  const both = await Promise.all([1, 2].map(() => at.run(['run', '--json', '--key', 'k2', 'do it with a tool'])));
  const [first, second] = both.map(({ stdout }) => JSON.parse(stdout));
  expect(first).toMatchObject({ outcome: 'answered', answer: 'It is written.' });
  expect(second).toEqual(first);
});

test('a run that is killed in the middle and run again gives the answer of the same turn', async () => {
  const asked = at.model.requests().length;
  const first = at.start(['run', '--json', '--key', 'k3', 'in two words']);
  await at.model.waitForRequest(asked + 1);
  first.child.kill('SIGKILL');
  await first.ended;
  const second = at.start(['run', '--json', '--key', 'k3', 'in two words']);
  at.model.release();
  const { stdout } = await second.ended;
  expect(JSON.parse(stdout)).toMatchObject({ outcome: 'answered', answer: 'first second', steps: 1 });
  expect(at.model.requests()).toHaveLength(asked + 1);
});

test('over its time the turn is stopped, and what was written is printed', async () => {
  const { code, stdout, stderr } = await at.run(['run', '--timeout', '1s', 'take your time']);
  expect({ code, stdout }).toEqual({ code: 124, stdout: 'I begin\n' });
  expect(stderr).toContain('Time is over');
});

test('Ctrl-C stops the turn and keeps what was done', async () => {
  const asked = at.model.requests().length;
  const run = at.start(['run', '-v', '-g', 'stopped', 'take your time']);
  await at.model.waitForRequest(asked + 1);
  run.child.kill('SIGINT');
  expect(await run.ended).toMatchObject({ code: 130, stderr: expect.stringContaining('Stopped.') });
  const { stdout } = await at.run(['session', 'ls', '--json']);
  expect(JSON.parse(stdout)).toContainEqual(expect.objectContaining({ chat: 'stopped', state: 'idle', turn: null }));
});

test('a second Ctrl-C leaves at once', async () => {
  const asked = at.model.requests().length;
  const run = at.start(['run', 'take your time']);
  await at.model.waitForRequest(asked + 1);
  run.child.kill('SIGINT');
  await run.says('Ctrl-C again');
  run.child.kill('SIGINT');
  expect(await run.ended).toMatchObject({ code: 130 });
});

test('a turn that fails is told in a sentence, with exit code 1', async () => {
  const { code, stdout, stderr } = await at.run(['run', 'bad key']);
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toMatch(/openai rejected the key, so this turn ended without an answer/);
});

test('an answer cannot take over the terminal', async () => {
  expect(await at.run(['run', 'escape me'])).toMatchObject({ stdout: 'red text\n' });
});

test('-e gives a variable to the commands of this turn, and leaves it nowhere', async () => {
  const { stdout } = await at.run(['run', '-e', 'GREETING=good morning', 'what is set']);
  expect(stdout).toContain('good morning');
  const { rows } = await at.test.pool.query(
    `select count(*)::int as count from inbox where settings::text like '%morning%'`,
  );
  expect(rows).toEqual([{ count: 0 }]);
});

test('--detach leaves the turn running and says how to look at it', async () => {
  const { code, stdout } = await at.run(['run', '--detach', '-g', 'left', 'say hello']);
  expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^durabot explain \d+-1\n$/) });
  const turn = stdout.trim().split(' ').at(-1) ?? '';
  const again = await at.run(['run', '-g', 'left', 'say hello']);
  expect(again.stdout).toBe('Hello **there**.\n');
  expect(await at.run(['explain', turn])).toMatchObject({ code: 0, stdout: expect.stringContaining(`Turn ${turn}`) });
});
