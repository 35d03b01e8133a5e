// Makes a clone ready to run: packages, then `dist/`. Needs nothing but Node and npm, so it is plain JavaScript
// without imports of packages. Run a second time it finds both fresh and does nothing.
// An installed package has no lockfile: it brings its `dist/`, and there is nothing to do.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { withLock } from './lock.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
const rooms = ['workflows', 'activities', 'store', 'channels', 'schedules', 'policy', 'workers'];
/** What the workflow bundle is made of: the rooms that workflow code may import values from. */
const bundledRooms = ['workflows', 'policy', 'schedules'];
/** What is not compiled but needed beside it. The scripts that make `dist/` stay outside of it. */
const isAsset = (path) =>
  /\.(sql|md|go|mod|sum|mjs)$/.test(path) && !/(durabot|set-up|bundle-workflows|write-schema)\.mjs$/.test(path);
const slowMs = 1000;
const stillMs = 15_000;

export class SetUpError extends Error {}

/**
 * Installs packages and builds, as far as either is older than its sources. Two at once: the second waits for the first.
 * `lenient`: a type error is shown but does not stop; the build then counts as not done. For tests while somebody edits.
 */
export async function setUp({
  force = false,
  lenient = false,
  say = (line) => process.stderr.write(`${line}\n`),
} = {}) {
  if (!existsSync(join(root, 'package-lock.json'))) return;
  const needed = async () => force || (await packagesAreStale()) || (await buildIsStale());
  if (!(await needed())) return;
  // Beside node_modules and dist, which the work itself may remove.
  await withLock(
    join(root, '.set-up.lock'),
    async () => {
      if (await packagesAreStale()) await installPackages(say);
      if (force || (await buildIsStale())) await build({ say, lenient });
    },
    { onWait: (pid) => say(`Another start (process ${pid}) is setting up; waiting for it.`) },
  );
}

async function packagesAreStale() {
  const lockfile = join(root, 'package-lock.json');
  const stamp = await readText(join(root, 'node_modules', '.durabot-lockfile'));
  if (stamp === (await hashOf(lockfile))) return false;
  // npm writes this file last, also when somebody ran `npm ci` or `npm install` by hand.
  const installed = await stat(join(root, 'node_modules', '.package-lock.json')).catch(() => undefined);
  return !installed || installed.mtimeMs < (await stat(lockfile)).mtimeMs;
}

async function installPackages(say) {
  const args = [
    'ci',
    '--no-audit',
    '--no-fund',
    '--include=dev',
    '--include=optional',
    '--loglevel=error',
    '--no-progress',
  ];
  await withProgress(say, 'Installing packages (npm ci)', () =>
    run(...npmCommand(args), {
      failure: 'The packages could not be installed. Check the network (npm needs a registry), then start again',
    }),
  );
  await writeFile(join(root, 'node_modules', '.durabot-lockfile'), await hashOf(join(root, 'package-lock.json')));
}

// Under `npm start` npm says where it lives; that also avoids the shell that `npm.cmd` would need.
function npmCommand(args) {
  const own = process.env.npm_execpath;
  if (own?.endsWith('npm-cli.js')) return [process.execPath, [own, ...args]];
  return process.platform === 'win32' ? ['cmd.exe', ['/d', '/s', '/c', 'npm', ...args]] : ['npm', args];
}

async function buildIsStale() {
  return (await readText(join(root, 'dist', '.built'))) !== (await fingerprint(rooms));
}

async function build({ say, lenient }) {
  const before = await fingerprint(rooms); // an edit made while we build shows at the next start
  await withProgress(say, 'Building', async () => {
    const compiled = await compile({ say, lenient });
    await copyAssets();
    await removeOrphans();
    const bundled = await bundleWorkflows({ say, lenient });
    if (compiled && bundled) await writeAtomically(join(root, 'dist', '.built'), before);
  });
}

// Incremental: tsc remembers what it saw, so that a small change costs a second and not ten.
function compile({ say, lenient }) {
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const args = [tsc, '-p', 'tsconfig.build.json', '--incremental', '--tsBuildInfoFile', join('dist', '.tsbuildinfo')];
  return passes({ say, lenient }, () => run(process.execPath, args, { failure: 'The sources do not compile' }));
}

async function passes({ say, lenient }, work) {
  try {
    await work();
    return true;
  } catch (error) {
    if (!lenient) throw error;
    say(error.message);
    return false;
  }
}

async function copyAssets() {
  for (const file of await filesOf(rooms)) {
    if (!isAsset(file.path)) continue;
    const target = join(root, 'dist', file.path);
    await mkdir(dirname(target), { recursive: true });
    await copyFile(join(root, file.path), target);
  }
}

// What was deleted from the sources must not stay in dist: an old migration would still be run.
async function removeOrphans() {
  for (const { path } of await filesOf(rooms, join(root, 'dist'))) {
    const source = isAsset(path) ? path : path.replace(/\.js(\.map)?$/, '.ts');
    if (!existsSync(join(root, source))) await rm(join(root, 'dist', path), { force: true });
  }
}

// Bundling takes seconds and most edits do not touch it, so it has a stamp of its own.
async function bundleWorkflows({ say, lenient }) {
  if (!existsSync(join(root, 'workflows', 'index.ts'))) return true;
  const bundle = join(root, 'dist', 'workflow-bundle.js');
  const stamp = join(root, 'dist', '.bundled');
  const wanted = await fingerprint(bundledRooms);
  if (existsSync(bundle) && (await readText(stamp)) === wanted) return true;
  const script = join(root, 'workers', 'local-stack', 'bundle-workflows.mjs');
  const args = [script, join(root, 'dist', 'workflows', 'index.js'), bundle];
  const failure = 'The workflow bundle could not be built';
  const made = await passes({ say, lenient }, () => run(process.execPath, args, { failure }));
  if (made) await writeAtomically(stamp, wanted);
  return made;
}

/** Changes when any source is added, removed or edited, or when the compiler's own settings or packages are. */
async function fingerprint(folders) {
  const hash = createHash('sha256');
  for (const { path, size, mtimeMs } of await filesOf(folders)) hash.update(`${path} ${size} ${mtimeMs}\n`);
  for (const file of ['tsconfig.json', 'tsconfig.build.json', 'package-lock.json'])
    hash.update(await hashOf(join(root, file)));
  return hash.digest('hex');
}

async function filesOf(folders, base = root) {
  const found = [];
  for (const folder of folders) {
    const entries = await readdir(join(base, folder), { recursive: true, withFileTypes: true }).catch(() => []);
    for (const entry of entries) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath ?? entry.path, entry.name);
      const facts = await stat(path).catch(() => undefined); // an editor's temporary file may be gone already
      if (facts) found.push({ path: relative(base, path), size: facts.size, mtimeMs: facts.mtimeMs });
    }
  }
  return found.sort((a, b) => (a.path < b.path ? -1 : 1));
}

// The output is kept back and shown only when the command fails: a newcomer should see no wall of text that means nothing.
function run(command, args, { failure }) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const keep = (chunk) => {
      output = (output + chunk).slice(-8000);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.on('error', (error) => reject(new SetUpError(`${failure}: ${command} did not start (${error.code}).`)));
    child.on('close', (code) => {
      if (code === 0) resolve();
      else reject(new SetUpError(`${failure}:\n${output.trim()}`));
    });
  });
}

/** Says nothing about what takes under a second. */
async function withProgress(say, what, work) {
  const began = Date.now();
  let told = false;
  const tell = () => {
    const seconds = Math.round((Date.now() - began) / 1000);
    say(told ? `${what}: ${seconds} s so far` : `${what} …`);
    told = true;
  };
  const first = setTimeout(tell, slowMs);
  const later = setInterval(tell, stillMs);
  try {
    await work();
  } finally {
    clearTimeout(first);
    clearInterval(later);
  }
  if (told) say(`${what}: done after ${((Date.now() - began) / 1000).toFixed(1)} s`);
}

async function hashOf(path) {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
}

function readText(path) {
  return readFile(path, 'utf8').catch(() => undefined);
}

async function writeAtomically(path, content) {
  await writeFile(`${path}.new`, content);
  await rename(`${path}.new`, path);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    await setUp({ force: process.argv[2] === 'build' });
  } catch (error) {
    if (!(error instanceof SetUpError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}
