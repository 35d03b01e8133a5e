// The commands around a turn: who works, who takes over, what stops it, what can be seen of it. Real processes of the built program.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openTestHome, type Running, type TestHome } from '../support/home.js';
import { asksFor, says } from '../support/model-server.js';
import { byMessage } from '../support/plans.js';

let at: TestHome;

beforeAll(async () => {
  at = await openTestHome(
    byMessage({
      'say hello': [says('Hello.')],
      'say goodbye': [says('Goodbye.')],
      'take your time': [says(['I begin ', 'and end.'], { heldAfter: 1 })],
      'run for long': ({ messages }) =>
        messages.at(-1)?.role === 'tool' ? says('It ran.') : asksFor('exec', { command: 'touch begun; sleep 90' }),
      'write it': ({ messages }) =>
        messages.at(-1)?.role === 'tool' ? says('Written.') : asksFor('write_file', { path: 'a.txt', content: 'x' }),
    }),
  );
}, 60_000);

afterAll(() => at.close(), 60_000);

/** Resolves when the model was asked once more. */
function asked(): Promise<unknown> {
  return at.model.waitForRequest(at.model.requests().length + 1);
}

async function serve(): Promise<Running> {
  const process = at.start(['serve'], { holdOpen: true });
  await process.says('is up');
  return process;
}

test('run without a worker becomes one, and ends', async () => {
  expect(await at.run(['run', 'say hello'])).toMatchObject({ code: 0, stdout: 'Hello.\n' });
  const { stdout } = await at.run(['status', '--json']);
  expect(JSON.parse(stdout)).toMatchObject({ processes: [], workers: 0, openTurns: [], model: 'scripted-1' });
});

test('a run whose worker dies takes over after five seconds and has its answer', async () => {
  const worker = await serve();
  const begun = asked();
  const run = at.start(['run', 'take your time']);
  await begun;
  const again = asked();
  worker.child.kill('SIGKILL');
  await run.says('The worker has been gone for 5 s; this process takes over.');
  await again;
  at.model.release();
  at.model.release();
  expect(await run.ended).toMatchObject({ code: 0, stdout: 'I begin and end.\n' });
});

test('a chat through a pipe answers line after line, and its commands act', async () => {
  const { code, stdout, stderr } = await at.run(['shell', '-g', 'piped'], {
    input: 'say hello\n/model\nsay goodbye\n/stpo\n',
  });
  expect(stdout).toMatch(/^Hello\.\nModel: scripted-1 at openai .*\nPresets: .*\n.*\nGoodbye\.\n$/);
  expect(stderr).toContain('There is no command /stpo. Did you mean /stop? It was not sent.');
  expect(code).toBe(1);
});

test('serve ends in order by a signal, and at once by a second one', async () => {
  const first = await serve();
  first.child.kill('SIGTERM');
  expect(await first.ended).toMatchObject({ code: 0 });
  const second = await serve();
  const begun = asked();
  const run = at.start(['run', '-g', 'cut', 'take your time']);
  await begun;
  second.child.kill('SIGTERM');
  await second.says('A second signal ends at once');
  second.child.kill('SIGTERM');
  expect(await second.ended).toMatchObject({ code: 1 });
  at.model.release();
  await run.says('takes over');
  at.model.release();
  expect(await run.ended).toMatchObject({ code: 0, stdout: 'I begin and end.\n' });
}, 90_000);

test('session kill ends a turn and its command within two seconds, and says what it was', async () => {
  const worker = await serve();
  const run = at.start(['run', '-g', 'long', 'run for long']);
  await run.says('· exec touch');
  const ls = JSON.parse((await at.run(['session', 'ls', '--json'])).stdout) as {
    chat: string;
    state: string;
    turn: string;
  }[];
  const turn = ls.find(({ chat }) => chat === 'long');
  expect(turn).toMatchObject({ state: 'running' });
  const killed = await at.run(['session', 'kill', 'long', '--json']);
  expect(JSON.parse(killed.stdout)).toEqual({ stopped: [turn?.turn], cancelledReplies: 0, stillOpen: [] });
  expect(await run.ended).toMatchObject({ code: 130 });
  const { rows } = await at.test.pool.query(
    `select extract(epoch from closed_at - marked_at)::float8 < 2 as soon from turn where id = $1`,
    [turn?.turn],
  );
  expect(rows).toEqual([{ soon: true }]);
  expect(await at.run(['session', 'kill', 'long'])).toMatchObject({ code: 0, stdout: 'Nothing is running.\n' });
  worker.child.kill('SIGTERM');
  await worker.ended;
}, 90_000);

test('stop without a worker ends the open turn all the same', async () => {
  const worker = await serve();
  const begun = asked();
  const run = at.start(['run', '-g', 'alone', 'take your time']);
  await begun;
  run.child.kill('SIGKILL');
  worker.child.kill('SIGKILL');
  await Promise.all([run.ended, worker.ended]);
  const { code, stdout } = await at.run(['stop']);
  expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^Stopped turn \d+-1\.\n$/) });
  expect(await at.run(['stop'])).toMatchObject({ code: 0, stdout: 'Nothing is running.\n' });
});

test('explain tells a turn step by step', async () => {
  const { stdout } = await at.run(['run', '--json', '-g', 'explained', 'write it']);
  const { turn } = JSON.parse(stdout);
  const explained = await at.run(['explain', turn]);
  expect(explained.stdout).toMatch(
    /^Turn \S+, .*: answered after .*\nRun {2}turn\/\d+\/1\n\n\S+ {2}message: "write it"\n\S+ {2}step 1: scripted-1, .*\n\s+s1\.c1 {2}write_file a\.txt {2}done, .*\n\S+ {2}step 2: .*\n\s+said: "Written\."\n/,
  );
  expect((await at.run(['explain', 'explained'])).stdout).toBe(explained.stdout);
  const json = JSON.parse((await at.run(['explain', turn, '--json'])).stdout);
  expect(json).toMatchObject({
    turnId: turn,
    state: 'answered',
    steps: [{ calls: [{ tool: 'write_file', state: 'done' }] }, {}],
  });
});

test.each([
  [['session', 'show', 'explaind'], 1, 'There is no conversation "explaind". The nearest are: explained'],
  [['session', 'kill', 'explaind'], 1, 'There is no conversation "explaind".'],
  [['session', 'resume', 'explaind'], 1, 'There is no conversation "explaind".'],
  [['session', 'delete', 'explained'], 2, 'Say --yes to do it without a question.'],
  [['shell', '--resume', 'explaind'], 1, 'There is no conversation "explaind".'],
  [['explain', '99999-1'], 1, 'There is no turn "99999-1".'],
])('%j is answered with a sentence', async (args, code, sentence) => {
  expect(await at.run(args)).toMatchObject({ code, stderr: expect.stringContaining(sentence) });
});

test('a conversation can be exported and deleted', async () => {
  const exported = await at.run(['session', 'export', 'explained']);
  expect(JSON.parse(exported.stdout)).toMatchObject({
    version: 1,
    chat: 'explained',
    messages: [{ role: 'user' }, {}, {}, {}],
  });
  expect(await at.run(['session', 'delete', 'explained', '--yes'])).toMatchObject({ code: 0 });
  expect(await at.run(['session', 'show', 'explained'])).toMatchObject({ code: 1 });
});

test('while nobody takes it up a message is kept, the person reads that it is queued, and then it is answered', async () => {
  const worker = await serve();
  worker.child.kill('SIGSTOP');
  const shell = at.start(['shell', '-g', 'queued'], { holdOpen: true, input: 'say hello\n' });
  await shell.says('Queued: no worker has taken it up yet. The message is kept and will be answered.');
  worker.child.kill('SIGCONT');
  await shell.says('Hello.');
  shell.child.stdin?.end();
  expect(await shell.ended).toMatchObject({ code: 0, stdout: 'Hello.\n' });
  worker.child.kill('SIGTERM');
  await worker.ended;
}, 90_000);
