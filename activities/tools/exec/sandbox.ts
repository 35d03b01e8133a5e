// The sandbox is bubblewrap: new namespaces, no capabilities, no network but an empty `lo`, system libraries read-only, the
// workspace at /workspace and nothing else of the machine. Inside, the command is user 1000 without any right, whoever we
// are: root is mapped, so files in the workspace keep their owner, but no capability comes along.
// What it does not cover: bugs of the kernel (no system-call filter is loaded).
import { execFile } from 'node:child_process';
import { access, lstat, mkdtemp, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ExecLimits, Program } from './job.js';
import type { WorkspaceMounts } from './mounts.js';

export interface ReadySandbox {
  kind: 'ready';
  /** Path of bubblewrap. */
  bwrap: string;
  /** Options that bring /bin, /lib and the like, which are links into /usr on most systems, but not on all. */
  system: string[];
}

/** `cause` and `cure` are sentences for the person. */
export interface AbsentSandbox {
  kind: 'absent';
  cause: string;
  cure: string;
}

/** `off` is the owner's word (`tools.exec.sandbox: off`): commands then run as we do, with limits but without walls. */
export type Sandbox = ReadySandbox | AbsentSandbox | { kind: 'off' };

export interface SandboxRequest {
  sandbox: ReadySandbox;
  /** Absolute path of the root on this machine. */
  workspace: string;
  /** Absolute path of the file that holds the shell script. */
  commandFile: string;
  shell: 'sh' | 'bash';
  /** Below /workspace. */
  workingDir: string;
  timeLimitMs: number;
  limits: ExecLimits;
  /** All that the command finds in its environment. */
  env: Record<string, string>;
  mounts: WorkspaceMounts;
}

/** How to run a command in the sandbox. Pure: what must be looked up on the disk comes in by `sandbox` and `mounts`. */
export function sandboxCommand(request: SandboxRequest): Program {
  const { sandbox, mounts, limits } = request;
  const hiddenArgs = [
    ...['--unshare-all', '--unshare-user', '--disable-userns', '--uid', '1000', '--gid', '1000'],
    ...['--die-with-parent', '--new-session', '--cap-drop', 'ALL', '--hostname', 'sandbox'],
    ...['--clearenv', ...Object.entries(request.env).flatMap(([name, value]) => ['--setenv', name, value])],
    ...['--ro-bind', '/usr', '/usr', ...sandbox.system],
    ...['ssl', 'alternatives', 'localtime', 'ld.so.cache'].flatMap((name) => readOnlyIfThere(`/etc/${name}`)),
    ...['--proc', '/proc', '--dev', '/dev'],
    // A size stands before the one mount that it limits. Root and /dev live in memory, too, and know no limit: read-only.
    ...['--size', String(64 * 1024 ** 2), '--tmpfs', '/dev/shm', '--size', String(256 * 1024 ** 2), '--tmpfs', '/tmp'],
    ...mounts.readOnlyBinds.flatMap((path) => ['--ro-bind', path, path]),
    ...mounts.readWriteBinds.flatMap((path) => ['--bind', path, path]),
    ...['--bind', request.workspace, '/workspace'],
    ...mounts.pinnedInside.flatMap((path) => ['--bind', join(request.workspace, path), join('/workspace', path)]),
    ...mounts.readOnlyInside.flatMap((path) => ['--ro-bind', join(request.workspace, path), join('/workspace', path)]),
    ...['--ro-bind', request.commandFile, '/command', '--remount-ro', '/dev', '--remount-ro', '/'],
    ...['--chdir', join('/workspace', request.workingDir), '--json-status-fd', '4'],
  ];
  const script = [`/bin/${request.shell}`, '/command'];
  const inside = [
    ...checkedMounts([...mounts.pinnedInside, ...mounts.readOnlyInside]),
    prlimit,
    ...limitArgs(request.timeLimitMs, limits),
    ...script,
  ];
  return { file: sandbox.bwrap, hiddenArgs, args: ['--args', '3', '--', ...inside], env: {}, cwd: '/' };
}

function readOnlyIfThere(path: string): string[] {
  return ['--ro-bind-try', path, path];
}

export const prlimit = '/usr/bin/prlimit';

/** Options of `prlimit`, for each process alone. What the whole command uses is watched by the supervisor. */
export function limitArgs(timeLimitMs: number, limits: ExecLimits): string[] {
  const cpuSeconds = Math.ceil(timeLimitMs / 1000); // one core for the whole time
  return [
    `--cpu=${cpuSeconds}:${cpuSeconds + 5}`, // first SIGXCPU, which says why
    `--fsize=${limits.fileBytes}`,
    `--nofile=${limits.openFiles}`,
    '--core=0',
    `--data=${2 * limits.memoryBytes}`, // holds a burst between two looks of the supervisor; address space would break Node and Go
  ];
}

/**
 * Another command that runs in the workspace may swap a folder for a link while our mounts are made, and bubblewrap follows
 * links: it would show us any folder of the machine. So before the command, a few lines compare what was mounted with what
 * was meant: each mount must show the very path of the workspace that it covers.
 */
function checkedMounts(paths: readonly string[]): string[] {
  if (paths.length === 0) return [];
  const points = paths.map((path) => asInMountinfo(join('/workspace', path)));
  return ['/bin/sh', '-c', compareMounts, 'sandbox', points.join(' '), String(points.length)];
}

const compareMounts = `
set -f; points=$1; missing=$2; shift 2
while read -r _ _ device root point _; do
  if [ "$point" = /workspace ]; then base=$device; top=\${root%/}; continue; fi
  for one in $points; do
    if [ "$point" = "$one" ] && [ "$device $root" = "$base $top\${point#/workspace}" ]; then missing=$((missing - 1)); fi
  done
done < /proc/self/mountinfo
if [ "$missing" != 0 ]; then echo 'durabot: the workspace changed while the sandbox was set up; nothing was run' >&2; exit 125; fi
exec "$@"`;

/** The kernel writes blanks and backslashes of a path as octal numbers. */
function asInMountinfo(path: string): string {
  return path.replace(/[ \t\n\\]/g, (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, '0')}`);
}

/**
 * Finds out whether commands can be sandboxed here, by running one: that the program is there proves little. About 20 ms;
 * a cause is named with its cure. The caller keeps a good answer; after a bad one the person may have installed it meanwhile.
 */
export async function probeSandbox(): Promise<ReadySandbox | AbsentSandbox> {
  if (process.platform !== 'linux') {
    return {
      kind: 'absent',
      cause: `there is no sandbox for ${process.platform}`,
      cure: 'run durabot on Linux or in a Linux container',
    };
  }
  const bwrap = await firstThere(['/usr/bin/bwrap', '/usr/local/bin/bwrap', '/bin/bwrap']);
  if (!bwrap)
    return { kind: 'absent', cause: 'bubblewrap is not installed', cure: `install it: ${await installCommand()}` };
  const sandbox: ReadySandbox = { kind: 'ready', bwrap, system: await systemMounts() };
  const folder = await mkdtemp(join(tmpdir(), 'durabot-probe-'));
  try {
    await writeFile(join(folder, 'command'), 'exit 0');
    const { hiddenArgs = [], args } = sandboxCommand({
      sandbox,
      workspace: folder,
      commandFile: join(folder, 'command'),
      shell: 'sh',
      workingDir: '.',
      timeLimitMs: 10_000,
      limits: { memoryBytes: 1e9, processes: 8, fileBytes: 1e6, openFiles: 64, minFreeBytes: 0 },
      env: { PATH: '/usr/bin:/bin' },
      mounts: { pinnedInside: [], readOnlyInside: [], readOnlyBinds: [], readWriteBinds: [] },
    });
    const shown = hiddenArgs.slice(0, hiddenArgs.indexOf('--json-status-fd'));
    await promisify(execFile)(bwrap, [...shown, ...args.slice(2)], { env: {}, timeout: 10_000 });
    return sandbox;
  } catch (error) {
    const words = error instanceof Error && 'stderr' in error ? String(error.stderr).trim().split('\n').at(-1) : '';
    return { kind: 'absent', ...diagnosis(words || String(error)) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What bubblewrap's complaint means, and what helps. */
export function diagnosis(complaint: string): { cause: string; cure: string } {
  const container =
    'in a container allow it (Docker: --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined)';
  const apparmor =
    'sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile for /usr/bin/bwrap';
  const cures: [RegExp, string, string][] = [
    [/disable-userns|Unknown option/, 'bubblewrap is older than 0.8.0', 'install 0.8.0 or newer'],
    [/uid map|RTM_NEWADDR/, 'the system restricts user namespaces', `allow them: ${apparmor}; ${container}`],
    [
      /namespace/,
      'user namespaces are switched off',
      `sysctl -w user.max_user_namespaces=15000 kernel.unprivileged_userns_clone=1; ${container}`,
    ],
    [/mount proc/, 'the container hides parts of /proc', container],
    [/prlimit/, 'the program prlimit is missing', 'install util-linux'],
  ];
  const [, cause, cure] = cures.find(([pattern]) => pattern.test(complaint)) ?? [];
  const heard = `bubblewrap says: ${complaint}`;
  return { cause: cause ? `${cause} (${heard})` : `the sandbox cannot be started (${heard})`, cure: cure ?? container };
}

async function installCommand(): Promise<string> {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '');
  const names = [...release.matchAll(/^ID(?:_LIKE)?="?([^"\n]*)/gm)].flatMap(([, value = '']) => value.split(' '));
  const commands: Record<string, string> = {
    debian: 'apt install bubblewrap',
    ubuntu: 'apt install bubblewrap',
    fedora: 'dnf install bubblewrap',
    rhel: 'dnf install bubblewrap',
    arch: 'pacman -S bubblewrap',
    suse: 'zypper install bubblewrap',
    alpine: 'apk add bubblewrap util-linux',
  };
  const command = names.map((name) => commands[name]).find((found) => found !== undefined) ?? 'apt install bubblewrap';
  return process.getuid?.() === 0 ? command : `sudo ${command}`;
}

async function systemMounts(): Promise<string[]> {
  const options: string[] = [];
  for (const path of ['/bin', '/sbin', '/lib', '/lib32', '/lib64']) {
    const found = await lstat(path).catch(() => undefined);
    if (found?.isSymbolicLink()) options.push('--symlink', await readlink(path), path);
    else if (found) options.push('--ro-bind', path, path);
  }
  return options;
}

async function firstThere(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) if (await isThere(path)) return path;
  return undefined;
}

export function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
