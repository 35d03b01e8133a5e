// From inside: what a command that obeys an attacker can see, reach, change and leave behind.
import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { endExec, startOrAttach } from '../../../../activities/tools/exec/attach.js';
import { execFolder, removeExec } from '../../../../activities/tools/exec/folder.js';
import { diagnosis, sandboxCommand } from '../../../../activities/tools/exec/sandbox.js';
import {
  execTool,
  exitOf,
  inSandbox,
  isThere,
  key,
  leftOf,
  markerOf,
  newPlace,
  order,
  probed,
  supervisorOf,
  testInSandbox,
  texts,
  until,
} from './commands.js';

testInSandbox('a command runs in the workspace and can write there', async () => {
  const place = await newPlace();
  await writeFile(join(place.workspace, 'in'), 'from outside');
  const { result, stdout } = await inSandbox(place, 'pwd; cat in; echo inside > out; exit 4');
  expect(result.text).toMatch(/^Exit code 4\./);
  expect(stdout).toBe('/workspace\nfrom outside');
  expect(await readFile(join(place.workspace, 'out'), 'utf8')).toBe('inside\n');
});

testInSandbox(
  'a command has no rights: no capability, no new privileges, no root, no namespaces of its own',
  async () => {
    const { stdout } = await inSandbox(
      await newPlace(),
      'id -u; grep -E "CapEff|CapBnd|NoNewPrivs" /proc/self/status; unshare -U true && echo nested; mount -t tmpfs x /tmp && echo mounted',
    );
    const none = '0'.repeat(16);
    expect(stdout).toBe(`1000\nCapEff:\t${none}\nCapBnd:\t${none}\nNoNewPrivs:\t1\n`);
  },
);

testInSandbox('there is no network, not even to this machine', async () => {
  const server = createServer((socket) => socket.destroy());
  let reached = 0;
  server.on('connection', () => reached++);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const call = `bash -c "echo hello > /dev/tcp/127.0.0.1/${port}" && echo connected`;
  expect(
    (
      await inSandbox(await newPlace(), 'ls /sys; tail -n +3 /proc/net/dev | cut -d: -f1; tail -n +2 /proc/net/route')
    ).stdout.trim(),
  ).toBe('lo');
  const { stdout } = await inSandbox(await newPlace(), call);
  server.close();
  expect([stdout, reached]).toEqual(['', 0]);
});

testInSandbox('home, keys, environment and processes of the machine are not there', async () => {
  const place = await newPlace();
  await writeFile(join(place.dataDir, 'config.json'), 'canary-in-data');
  process.env.DURABOT_TEST_CANARY = 'canary-in-env';
  const look = `cat ${place.dataDir}/config.json; ls -A / /etc /home /root ~; cat /etc/passwd; env; cat /proc/*/environ /proc/*/cmdline; ls /proc | grep -c '^[0-9]'; ls /run /var/run`;
  const { stdout } = await inSandbox(place, look, { env: { ALLOWED: 'yes' } });
  delete process.env.DURABOT_TEST_CANARY;
  expect(stdout).not.toMatch(/canary/);
  expect(stdout).toContain('ALLOWED=yes');
  expect(stdout).toContain(
    ['/:', 'bin', 'command', 'dev', 'etc', 'lib', 'lib64', 'proc', 'sbin', 'tmp', 'usr', 'workspace'].join('\n'),
  );
  expect(stdout).not.toMatch(/root:x:0/);
  expect(stdout).not.toContain(place.workspace); // /proc/1/cmdline is the sandbox's own
});

testInSandbox('nothing outside the workspace and its own /tmp can be written', async () => {
  const place = await newPlace();
  const write = `for path in /x /dev/x /etc/x /usr/x /proc/x /command ${place.dataDir}/x ../x; do (echo x > $path) 2>/dev/null && echo wrote $path; done; echo x > /tmp/x && echo x > /dev/shm/x && echo ok`;
  expect((await inSandbox(place, write)).stdout).toBe('ok\n');
  expect((await readdir(place.dataDir)).sort()).toEqual(['exec']);
});

testInSandbox('what lives in memory is bounded', async () => {
  const { stdout } = await inSandbox(
    await newPlace(),
    'for folder in /tmp /dev/shm; do head -c 400000000 /dev/zero > $folder/big; stat -c %s $folder/big; done',
  );
  expect(stdout.trim().split('\n').map(Number)).toEqual([256 * 1024 ** 2, 64 * 1024 ** 2]);
});

testInSandbox('a link that leads out of the workspace leads nowhere', async () => {
  const place = await newPlace();
  await writeFile(join(place.dataDir, 'secret'), 'canary');
  await symlink(join(place.dataDir, 'secret'), join(place.workspace, 'absolute'));
  await symlink('../data/secret', join(place.workspace, 'relative'));
  expect((await inSandbox(place, 'cat absolute relative')).stdout).toBe('');
});

testInSandbox('files that give orders later cannot be changed, made, moved or removed', async () => {
  const place = await newPlace();
  await writeFile(join(place.workspace, 'AGENTS.md'), 'mine');
  await mkdir(join(place.workspace, 'skills'));
  await mkdir(join(place.workspace, 'project/.git/hooks'), { recursive: true });
  await writeFile(join(place.workspace, 'project/.git/config'), 'mine');
  const attack = `
    for file in AGENTS.md SOUL.md HEARTBEAT.md skills/SKILL.md .git/config .git/hooks/post-checkout project/.git/config project/.git/hooks/pre-commit project/.git/commondir; do
      mkdir -p $(dirname $file); echo evil > $file && echo wrote $file; ln -f /workspace/evil $file && echo linked $file
    done 2>/dev/null
    for name in AGENTS.md skills .git project/.git; do mv $name moved && echo moved $name; rm -rf $name && echo removed $name; done 2>/dev/null
    ln AGENTS.md twin 2>/dev/null && echo twin; echo end`;
  expect((await inSandbox(place, attack)).stdout).toBe('end\n');
  expect(await readFile(join(place.workspace, 'AGENTS.md'), 'utf8')).toBe('mine');
  expect(await readFile(join(place.workspace, 'project/.git/config'), 'utf8')).toBe('mine');
  expect(await readdir(join(place.workspace, '.git'))).toEqual([]);
});

testInSandbox('where the owner allows commits, hooks and settings stay as they are', async () => {
  const place = await newPlace();
  const git = 'export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a;';
  await inSandbox(place, 'git init -q project', { git: 'commits' });
  await rm(join(place.dataDir, 'exec'), { recursive: true });
  const { stdout } = await inSandbox(
    place,
    `${git} cd project; git commit -q --allow-empty -m first; git log --format=%s; git config a.b c; echo x > .git/hooks/pre-commit; mv .git moved; ls -d .git`,
    { git: 'commits' },
  );
  expect(stdout).toBe('first\n.git\n');
  expect(await isThere(join(place.workspace, 'project/.git/hooks/pre-commit'))).toBe(false);
});

testInSandbox('a command does not run when a protected folder was swapped for a link to somewhere else', async () => {
  if (probed.kind !== 'ready') return;
  const place = await newPlace();
  await mkdir(join(place.workspace, 'a project/.git'), { recursive: true });
  await mkdir(join(place.dataDir, 'keys'));
  await writeFile(join(place.dataDir, 'keys/secret'), 'canary');
  const plain = order(place, 'cat "a project/.git/secret"; echo ran');
  const program = sandboxCommand({
    sandbox: probed,
    workspace: place.workspace,
    commandFile: join(execFolder(place.dataDir, key), 'command'),
    shell: 'sh',
    workingDir: '.',
    timeLimitMs: plain.timeLimitMs,
    limits: plain.limits,
    env: { PATH: '/usr/bin:/bin' },
    mounts: { pinnedInside: [], readOnlyInside: ['a project/.git'], readOnlyBinds: [], readWriteBinds: [] },
  });
  const swapped = program.hiddenArgs?.map((arg) =>
    arg.replace(`${place.workspace}/a project/.git`, join(place.dataDir, 'keys')),
  );
  const mounted = { ...plain, program: { ...program, hiddenArgs: swapped } };
  await startOrAttach(place.dataDir, key, mounted); // what bubblewrap mounts when it follows the link
  expect(await exitOf(place)).toMatchObject({ exitCode: 125 });
  expect(texts(place)).toEqual({ stdout: '', stderr: expect.stringContaining('the workspace changed') });
  await removeExec(place.dataDir, key);
  await startOrAttach(place.dataDir, key, { ...plain, program }); // and the same without a swap
  expect(await exitOf(place)).toMatchObject({ exitCode: 0 });
});

testInSandbox('time over ends everything in the sandbox, whatever it does about it', async () => {
  const place = await newPlace();
  const { run } = await execTool(place, { sandbox: async () => probed, limits: { minFreeBytes: 0 } });
  const tree =
    'trap "" TERM; echo begun; setsid sleep 61 & (setsid sh -c "trap \\"\\" TERM; (sleep 62 &); sleep 63" &); nohup sleep 64 & sleep 65';
  const result = await run({ command: tree, timeout: 1 });
  expect(result).toMatchObject({
    failed: true,
    text: expect.stringMatching(/^Error: time over after 1 s\.[\s\S]*stdout:\nbegun/),
  });
  expect(await leftOf(await markerOf(place))).toEqual([]);
});

testInSandbox('a command in the sandbox may tidy up when its time is over', async () => {
  const place = await newPlace();
  await inSandbox(place, 'trap "echo tidied; exit 0" TERM; while :; do sleep 0.05; done', {}, { timeout: 1 });
  expect(texts(place).stdout).toBe('tidied\n');
});

testInSandbox('the sandbox dies with its supervisor', async () => {
  const place = await newPlace();
  const { run } = await execTool(place, { sandbox: async () => probed });
  const result = run({ command: 'echo begun; setsid sleep 60 & sleep 60' });
  await until(() => texts(place).stdout === 'begun\n');
  const marker = await markerOf(place);
  process.kill(await supervisorOf(place), 'SIGKILL');
  expect(await result).toMatchObject({ failed: true, outcome: 'unknown' });
  expect(await leftOf(marker)).toEqual([]);
});

testInSandbox('a stop ends the sandbox', async () => {
  const place = await newPlace();
  const { run } = await execTool(place, { sandbox: async () => probed });
  const result = run({ command: 'echo begun; setsid sh -c "trap \\"\\" TERM; sleep 61; sleep 62" & exec sleep 60' });
  await until(() => texts(place).stdout === 'begun\n');
  await endExec(place.dataDir, key);
  expect(await result).toMatchObject({ failed: true, text: expect.stringContaining('stopped') });
  expect(await leftOf(await markerOf(place))).toEqual([]);
});

testInSandbox('bombs in the sandbox end alone', async () => {
  const place = await newPlace();
  const limits = { processes: 50, memoryBytes: 200e6, minFreeBytes: 0 };
  const bomb = 'bomb() { [ $1 -gt 0 ] || exec sleep 60; bomb $(($1 - 1)) & bomb $(($1 - 1)) & }; bomb 12; sleep 60';
  expect((await inSandbox(place, bomb, { limits })).result.text).toMatch(/^Error: more than the 50 processes/);
  expect(await leftOf(await markerOf(place))).toEqual([]);
  const hungry =
    'perl -e \'my @kept; for (1..100) { push @kept, "x" x 20_000_000; select undef, undef, undef, 0.02 } sleep 60\'';
  expect((await inSandbox(await newPlace(), hungry, { limits })).result.text).toMatch(
    /^Error: more memory than the 191 MiB/,
  );
});

testInSandbox('endless output, a huge file and an endless loop end alone', async () => {
  const limits = { fileBytes: 1e6, minFreeBytes: 0 };
  expect((await inSandbox(await newPlace(), 'yes', {}, { timeout: 1 })).result.text).toMatch(
    /^Error: time over[\s\S]*cut/,
  );
  expect((await inSandbox(await newPlace(), 'yes > big', { limits })).result.text).toMatch(/^Exit code 153 \(SIGXFSZ/);
  expect((await inSandbox(await newPlace(), 'while :; do :; done', {}, { timeout: 1 })).result.failed).toBe(true);
});

testInSandbox('the terminal of the worker cannot be typed into', async () => {
  // The sixth field is the session: 0 would be one outside of the sandbox.
  const { stdout } = await inSandbox(await newPlace(), 'cat < /dev/tty && echo has one; cut -d" " -f6 /proc/$$/stat');
  expect(stdout).toBe('1\n');
});

testInSandbox('a sandbox that cannot be set up is a failure, and nothing ran', async () => {
  const place = await newPlace();
  const broken =
    probed.kind === 'ready' ? { ...probed, system: [...probed.system, '--ro-bind', '/nowhere', '/nowhere'] } : probed;
  const { run } = await execTool(place, { sandbox: async () => broken });
  expect(await run({ command: 'echo ran > ran' })).toMatchObject({
    failed: true,
    text: expect.stringMatching(/^Error: the command could not be started[\s\S]*nowhere/),
  });
  expect(await isThere(join(place.workspace, 'ran'))).toBe(false);
});

test('the arguments of the sandbox name no variable, folder or command where others can read them', () => {
  const { args, env } = sandboxCommand({
    sandbox: { kind: 'ready', bwrap: '/usr/bin/bwrap', system: [] },
    workspace: '/home/ann/workspace',
    commandFile: '/home/ann/data/exec/a1-1.s1.c1/command',
    shell: 'sh',
    workingDir: 'notes',
    timeLimitMs: 1000,
    limits: { memoryBytes: 1, processes: 1, fileBytes: 1, openFiles: 1, minFreeBytes: 1 },
    env: { TOKEN: 'canary' },
    mounts: { pinnedInside: [], readOnlyInside: [], readOnlyBinds: [], readWriteBinds: [] },
  });
  expect(args.join(' ')).not.toMatch(/canary|ann/);
  expect(env).toEqual({});
});

test.each([
  [
    'bwrap: setting up uid map: Permission denied',
    /restricts user namespaces/,
    /apparmor_restrict_unprivileged_userns/,
  ],
  ['bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted', /restricts user namespaces/, /AppArmor profile/],
  ['bwrap: No permissions to create new namespace, likely because', /switched off/, /max_user_namespaces/],
  ['bwrap: Unknown option --disable-userns', /older than 0\.8\.0/, /install 0\.8\.0/],
  [
    "bwrap: Can't mount proc on /newroot/proc: Operation not permitted",
    /hides parts of \/proc/,
    /systempaths=unconfined/,
  ],
  ['bwrap: something else', /cannot be started/, /Docker/],
])('%s has a cause and a cure', (complaint, cause, cure) => {
  expect(diagnosis(complaint).cause).toMatch(cause);
  expect(diagnosis(complaint).cure).toMatch(cure);
});
