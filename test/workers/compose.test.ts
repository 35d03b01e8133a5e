// What docker-compose.yml and the Dockerfile promise, as far as it can be seen without an engine of containers: they are read, and
// held against the program that they start.
import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, expect, test } from '@jest/globals';
import { DCLinter } from 'dclint';
import { settingsSchema } from '../../workers/settings/schema.js';
import { readVariables } from '../../workers/settings/variables.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'durabot-compose-'));
afterAll(() => rmSync(folder, { recursive: true }));

interface Service {
  image?: string;
  command?: string[];
  environment?: Record<string, string | null>;
  ports?: string[];
  volumes?: { type: string; source?: string; target: string; read_only?: boolean }[];
  healthcheck?: { test: string[] };
  restart?: string;
  read_only?: boolean;
  user?: string;
  cap_drop?: string[];
  security_opt?: string[];
}

// YAML as the linter itself reads it.
const yaml: { parse(text: string, options?: { merge: boolean }): unknown } = createRequire(
  createRequire(import.meta.url).resolve('dclint'),
)('yaml');
const textOf = (path: string) => readFileSync(join(root, path), 'utf8');
const composeText = textOf('docker-compose.yml');
const { services } = yaml.parse(composeText, { merge: true }) as { services: Record<string, Service> };
const all = Object.entries(services);
const ours = all.filter(([, { image }]) => image === 'durabot');
const configSource = ['workers/config.ts', 'workers/settings/single-variables.ts'].map(textOf).join('\n');

const run = promisify(execFile);
const node = (args: string[], cwd = root) =>
  run(process.execPath, args, { cwd, env: { PATH: process.env.PATH, HOME: folder } });
const durabot = (...args: string[]) =>
  node([
    '--input-type=module',
    '-e',
    `const { main } = await import('./dist/workers/cli.js'); await main(${JSON.stringify(args)});`,
  ]);

test('the linter of compose files has no complaint', () => {
  const linter = new DCLinter(yaml.parse(textOf('.dclintrc')) as ConstructorParameters<typeof DCLinter>[0]);
  const [result] = linter.lintFiles([join(root, 'docker-compose.yml')], false);
  expect(result?.messages).toEqual([]);
});

test('what is started and asked for its health are commands of durabot', async () => {
  expect(ours.map(([name]) => name)).toEqual(['gateway', 'worker']);
  const called = ours.flatMap(([, { command, healthcheck }]) => [
    command?.join(' ') ?? '',
    /durabot ([a-z]+ --json)/.exec(healthcheck?.test.join(' ') ?? '')?.[1] ?? '',
  ]);
  expect(called).toEqual(['gateway', 'status --json', 'worker', 'status --json']);
  for (const words of called) expect((await durabot(...words.split(' '), '--help')).stdout).toContain('Usage: durabot');
});

test('each variable that durabot is handed is one that it reads', () => {
  const names = ours.flatMap(([, { environment }]) => Object.keys(environment ?? {}));
  const unknown = names.filter((name) => !name.includes('__') && name !== 'TZ' && !configSource.includes(name));
  expect(unknown).toEqual([]);
  const paths = Object.fromEntries(names.filter((name) => name.includes('__')).map((name) => [name, 'x']));
  expect(readVariables(paths, settingsSchema, {}).problems).toEqual([]);
});

test('every key of a model that durabot looks for reaches gateway and worker', () => {
  const keys = [...configSource.matchAll(/'([A-Z]+_API_KEY)'/g)].map((match) => match[1]);
  expect(keys).toContain('OPENAI_API_KEY');
  for (const [, { environment }] of ours) expect(Object.keys(environment ?? {})).toEqual(expect.arrayContaining(keys));
});

test('a variable that must be set stands in .env.example', () => {
  const needed = new Set([...composeText.matchAll(/\$\{([A-Z_]+):\?/g)].map((match) => match[1]));
  expect([...needed].sort()).toEqual(['DURABOT_DB_PASSWORD', 'POSTGRES_PASSWORD', 'TEMPORAL_DB_PASSWORD']);
  for (const name of needed) expect(textOf('.env.example')).toContain(`#${name}=`);
});

test.each(all)('%s has no right that it does not need', (_name, service) => {
  expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'] });
  expect(service.security_opt).toContain('no-new-privileges:true');
  for (const port of service.ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:/);
  const isJob = service.restart?.startsWith('on-failure');
  expect(isJob || service.restart === 'unless-stopped').toBe(true);
});

test('what is mounted from the clone is there, and the scripts are shell', async () => {
  const mounted = all.flatMap(([, { volumes = [] }]) => volumes.filter(({ type }) => type === 'bind'));
  expect(mounted).toHaveLength(4);
  for (const { source = '', read_only } of mounted) {
    expect(existsSync(join(root, source))).toBe(true);
    expect(read_only).toBe(true);
    if (source.endsWith('.sh')) await run('sh', ['-n', join(root, source)]);
  }
});

test('Temporal is tuned as the one that durabot starts itself', () => {
  const tuned = yaml.parse(textOf('workers/scale-out/dynamic-config.yaml')) as Record<string, { value: unknown }[]>;
  const here = Object.entries(tuned).map(([key, [setting]]) => `'${key}=${JSON.stringify(setting?.value)}'`);
  const source = textOf('workers/local-stack/temporal.ts');
  const there = /const dynamicConfig = \[([^\]]*)\]/.exec(source)?.[1]?.match(/'[^']+'/g) ?? [];
  expect(here).toEqual(there);
});

test('the image holds what durabot needs to start, and nothing is set up in it', async () => {
  const lastStage =
    textOf('Dockerfile')
      .split(/^FROM /m)
      .at(-1) ?? '';
  const image = join(folder, 'image');
  for (const [, words = ''] of lastStage.matchAll(/^COPY (.+)$/gm)) {
    const paths = words.replace('/app/', '').split(' ');
    if (paths[0]?.startsWith('--from')) {
      mkdirSync(image, { recursive: true });
      symlinkSync(join(root, paths[1] ?? ''), join(image, paths[2] ?? ''));
    } else copyInto(image, paths.slice(0, -1), paths.at(-1) ?? '');
  }
  const { stdout, stderr } = await node(['workers/durabot.mjs', '--version'], image);
  expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  expect(stderr).toBe('');
});

test('what the Dockerfile copies from the clone is handed to the engine, and the rest is not', () => {
  const handedOver = textOf('.dockerignore')
    .split('\n')
    .filter((line) => line.startsWith('!'))
    .map((line) => line.slice(1));
  const copied = [...textOf('Dockerfile').matchAll(/^COPY (?!--from)(.+) \S+$/gm)]
    .flatMap((match) => match[1]?.split(' ') ?? [])
    .filter((path) => path !== '.');
  expect(handedOver).toEqual(expect.arrayContaining(copied.map((path) => path.split('/')[0])));
  for (const path of handedOver) expect(existsSync(join(root, path))).toBe(true);
  expect(handedOver).not.toContain('.env');
});

function copyInto(image: string, paths: string[], to: string): void {
  for (const path of paths.flatMap(expandGlob)) {
    const target = join(image, to, path.split('/').at(-1) ?? '');
    mkdirSync(dirname(target), { recursive: true });
    cpSync(join(root, path), target, { recursive: true });
  }
}

function expandGlob(path: string): string[] {
  const [folderOfGlob, ending] = path.split('/*');
  if (folderOfGlob === undefined || ending === undefined) return [path];
  return readdirSync(join(root, folderOfGlob))
    .filter((name) => name.endsWith(ending))
    .map((name) => `${folderOfGlob}/${name}`);
}
