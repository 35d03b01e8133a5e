// The command line as a person meets it: real processes of the built program, in homes that do not exist yet.
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';

const folder = mkdtempSync(join(tmpdir(), 'durabot-cli-'));
afterAll(() => rmSync(folder, { recursive: true }));
const home = join(folder, 'home');

function durabot(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return script(`const { main } = await import('./dist/workers/cli.js'); await main(${JSON.stringify(args)});`);
}

function script(source: string): Promise<{ code: number; stdout: string; stderr: string }> {
  const environment = { PATH: process.env.PATH, HOME: folder, DURABOT_HOME: home };
  return new Promise((resolve) => {
    execFile(process.execPath, ['--input-type=module', '-e', source], { env: environment }, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr });
    });
  });
}

test('--help lists the commands and loads neither Temporal nor a database driver', async () => {
  const { stdout } = await script(`
    import { createRequire } from 'node:module';
    const { main } = await import('./dist/workers/cli.js');
    await main(['--help']);
    const loaded = Object.keys(createRequire(import.meta.url).cache).filter((path) => /@temporalio|node_modules.pg./.test(path));
    process.stdout.write('LOADED ' + JSON.stringify(loaded));
  `);
  expect(stdout).toMatch(/status .*doctor .*down /s);
  expect(stdout).toContain('LOADED []');
});

test('--version prints the version of the package', async () => {
  expect(await durabot('--version')).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
});

test.each([
  [['stauts'], 'There is no command "stauts". Did you mean "status"? See durabot --help.'],
  [['status', '--jsn'], "unknown option '--jsn'\n(Did you mean --json?)"],
  [['status', 'now'], "too many arguments for 'status'"],
  [['--config', join(folder, 'none.json'), 'status'], `There is no config file ${join(folder, 'none.json')}.`],
])('%j is wrong use', async (args, sentence) => {
  const { code, stderr } = await durabot(...args);
  expect(stderr).toContain(sentence);
  expect(code).toBe(2);
});

test('a config with a wrong key stops a command, and doctor names it among the rest', async () => {
  const path = join(folder, 'wrong.json');
  writeFileSync(path, '{ "agnts": {} }');
  const says = `${path}, line 1, column 3: there is no key agnts; the nearest is agents.`;
  expect(await durabot('status', '-c', path)).toMatchObject({ code: 2, stderr: `${says}\n` });
  const doctor = await durabot('doctor', '-c', path);
  expect(doctor).toMatchObject({ code: 1, stdout: expect.stringContaining(`✗ config         ${says}`) });
  expect(doctor.stdout).toContain('✓ node');
});

test('status, doctor and down start nothing and make nothing', async () => {
  const status = await durabot('status', '--json');
  expect(JSON.parse(status.stdout)).toMatchObject({
    home,
    processes: [],
    temporal: { state: 'stopped' },
    postgres: { state: 'stopped' },
  });
  const findings = JSON.parse((await durabot('doctor', '--json')).stdout);
  expect(findings.map(({ part }: { part: string }) => part)).toEqual([
    ...['node', 'config', 'home', 'workspace', 'model', 'sandbox', 'temporal cli', 'temporal', 'namespace'],
    ...['postgres bin', 'postgres', 'disk', 'clock'],
  ]);
  expect((await durabot('down')).stdout).toBe(`Nothing of ${home} was running.\n`);
  expect(existsSync(home)).toBe(false);
});
