// The tool and what closes and settles its calls, without a sandbox.
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { createExecs } from '../../../../activities/tools/exec/execs.js';
import { listExecs, lookAtExec, makeTombstone } from '../../../../activities/tools/exec/folder.js';
import { execTool, isThere, key, leftOf, markerOf, newPlace, type Place, texts, until } from './commands.js';

const call = { turnId: 'a1-1', callId: 's1.c1' };
const execsOf = ({ dataDir }: Place, live: string[] = []) =>
  createExecs({ dataDir, liveCalls: async () => new Set(live) });

test('a command runs in its working folder and returns what it wrote', async () => {
  const place = await newPlace();
  await mkdir(join(place.workspace, 'notes'));
  const { run } = await execTool(place, { env: { ALLOWED: 'yes' } });
  const result = await run({ command: 'pwd; echo $ALLOWED >&2', working_dir: 'notes' });
  expect(result).toEqual({ text: `Exit code 0.\nstdout:\n${place.workspace}/notes\n\nstderr:\nyes\n`, failed: false });
});

test('bash is there for those who ask for it', async () => {
  const { run } = await execTool(await newPlace());
  expect((await run({ command: 'a=(1 2 3); echo $((a[0] + a[2]))', shell: 'bash' })).text).toBe(
    'Exit code 0.\nstdout:\n4\n',
  );
});

test('without a sandbox the command is refused, with what installs it', async () => {
  const place = await newPlace();
  const absent = {
    kind: 'absent',
    cause: 'bubblewrap is not installed',
    cure: 'install it: sudo apt install bubblewrap',
  } as const;
  const { run } = await execTool(place, { sandbox: async () => absent });
  const result = await run({ command: 'echo ran > ran' });
  expect(result.failed).toBe(true);
  expect(result.text).toMatch(
    /^Error: .*bubblewrap is not installed.*sudo apt install bubblewrap.*tools\.exec\.sandbox to off/,
  );
  expect([await isThere(join(place.workspace, 'ran')), await lookAtExec(place.dataDir, key)]).toEqual([
    false,
    { kind: 'no folder' },
  ]);
});

test('a working folder outside the workspace is refused', async () => {
  const { run } = await execTool(await newPlace());
  expect((await run({ command: 'true', working_dir: '../data' })).text).toMatch(
    /^Error: working_dir \.\.\/data is no folder of the workspace/,
  );
});

test('a second attempt joins the command of the first, though it has removed its own folder and the sandbox is gone', async () => {
  const place = await newPlace();
  await mkdir(join(place.workspace, 'gone'));
  const { run } = await execTool(place);
  const gaveUp = new AbortController();
  const command = {
    command: 'echo ran >> ../runs; rmdir ../gone; until [ -e ../go ]; do sleep 0.01; done; echo end',
    working_dir: 'gone',
  };
  const first = run(command, { signal: gaveUp.signal });
  await until(() => isThere(join(place.workspace, 'runs')));
  gaveUp.abort(new Error('worker shut down'));
  await expect(first).rejects.toThrow('worker shut down');
  await rm(join(place.workspace, 'gone'), { recursive: true, force: true });
  const later = await execTool(place, { sandbox: async () => ({ kind: 'absent', cause: 'x', cure: 'y' }) });
  const second = later.run(command);
  await writeFile(join(place.workspace, 'go'), '');
  expect((await second).text).toMatch(/^Exit code 0\.\nstdout:\nend/);
  expect((await run({ command: 'cat runs' })).text).toMatch(/^Exit code 0\.\nstdout:\nend/); // the call has its result
});

test('after a stop nothing is begun, and what comes late finds that out', async () => {
  const place = await newPlace();
  const { run } = await execTool(place);
  expect(await run({ command: 'echo ran > ran' }, { mayStart: false })).toMatchObject({
    failed: true,
    outcome: 'not run',
  });
  expect(await run({ command: 'echo ran > ran' })).toMatchObject({ failed: true, outcome: 'not run' });
  expect(await isThere(join(place.workspace, 'ran'))).toBe(false);
});

test('a stop keeps the output so far', async () => {
  const place = await newPlace();
  const { run, end } = await execTool(place);
  const running = run({ command: 'echo begun; sleep 60' });
  await until(() => texts(place).stdout === 'begun\n');
  expect(await end()).toMatchObject({
    failed: true,
    text: expect.stringMatching(/stopped.*Output so far:\nstdout:\nbegun/s),
  });
  await running;
});

test('a summary names the program and nothing that could be secret', async () => {
  const { tool } = await execTool(await newPlace());
  const summary = (command: string) => tool.summary(tool.input.parse({ command }));
  expect(summary('/usr/bin/git push https://token@host')).toBe('exec git');
  expect(summary('TOKEN=secret curl x')).toBe('exec curl');
  for (const odd of ['"$SECRET"', 'TOKEN=only', '$(cat key)', `${'x'.repeat(50)} y`, '# secret'])
    expect(summary(odd)).toBe('exec script');
});

test('the arguments have bounds', async () => {
  const { tool } = await execTool(await newPlace());
  for (const bad of [
    {},
    { command: '' },
    { command: 'a\0b' },
    { command: 'a', timeout: 0 },
    { command: 'a', timeout: 1801 },
    { command: 'a', max_output_chars: 999 },
  ]) {
    expect(tool.input.safeParse(bad).success).toBe(false);
  }
  const timeoutMs = typeof tool.timeoutMs === 'function' ? tool.timeoutMs : () => 0;
  expect([
    timeoutMs(tool.input.parse({ command: 'a' })),
    timeoutMs(tool.input.parse({ command: 'a', timeout: 100 })),
  ]).toEqual([65_000, 105_000]);
});

test('a call that is settled before it began never begins', async () => {
  const place = await newPlace();
  const execs = await execsOf(place);
  expect(await execs.lookOrEntomb(call)).toEqual({ kind: 'never' });
  const { run } = await execTool(place);
  expect(await run({ command: 'true' })).toMatchObject({ outcome: 'not run' });
});

test('a call that is settled has the result of its command, or still runs', async () => {
  const place = await newPlace();
  const execs = await execsOf(place);
  const { run } = await execTool(place);
  const result = run({ command: 'echo begun; until [ -e go ]; do sleep 0.01; done; exit 3' });
  await until(() => texts(place).stdout === 'begun\n');
  expect(await execs.lookOrEntomb(call)).toEqual({ kind: 'running' });
  await writeFile(join(place.workspace, 'go'), '');
  expect(
    await execs
      .lookOrEntomb(call)
      .then(async (end) => (end.kind === 'running' ? { kind: 'exited', result: await result } : end)),
  ).toEqual({
    kind: 'exited',
    result: await result,
  });
  expect(await execs.endOrEntomb(call)).toBe('exited');
});

test('what runs although its call has an outcome is ended, the rest is left alone', async () => {
  const place = await newPlace();
  const { run } = await execTool(place);
  const result = run({ command: 'echo begun; sleep 60' });
  await until(() => texts(place).stdout === 'begun\n');
  await (await execsOf(place, [key])).endThoseWithOutcome();
  expect((await lookAtExec(place.dataDir, key)).kind).toBe('running');
  await (await execsOf(place)).endThoseWithOutcome();
  expect((await result).text).toMatch(/stopped/);
  expect(await leftOf(await markerOf(place))).toEqual([]);
});

test('while the store is away nothing is ended', async () => {
  const place = await newPlace();
  const { run, end } = await execTool(place);
  const result = run({ command: 'echo begun; sleep 60' });
  await until(() => texts(place).stdout === 'begun\n');
  const away = await createExecs({ dataDir: place.dataDir, liveCalls: () => Promise.reject(new Error('store away')) });
  await expect(away.endThoseWithOutcome()).rejects.toThrow('store away');
  expect((await lookAtExec(place.dataDir, key)).kind).toBe('running');
  await end();
  await result;
});

test('only calls that have an outcome and are old are forgotten', async () => {
  const place = await newPlace();
  for (const each of ['a1-1/s1.c1', 'a1-1/s1.c2']) await makeTombstone(place.dataDir, each);
  const execs = await execsOf(place, ['a1-1/s1.c2']);
  await execs.forgetEnded(60_000);
  expect((await listExecs(place.dataDir)).length).toBe(2);
  await execs.forgetEnded(-1);
  expect((await listExecs(place.dataDir)).map((each) => each.key)).toEqual(['a1-1/s1.c2']);
});
