import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { type MountWishes, planMounts, workingDirIn } from '../../../../activities/tools/exec/mounts.js';
import { newPlace, type Place } from './commands.js';

const wishes = (place: Place, change: Partial<MountWishes> = {}): MountWishes => ({
  ...place,
  protectedPaths: [],
  git: 'read-only',
  readOnlyBinds: [],
  readWriteBinds: [],
  ...change,
});

async function repository(place: Place, path: string): Promise<void> {
  await mkdir(join(place.workspace, path, '.git/hooks'), { recursive: true });
  await writeFile(join(place.workspace, path, '.git/config'), '');
}

test('each repository of the workspace is read-only, new ones apart', async () => {
  const place = await newPlace();
  for (const path of ['one', 'deep/er/two', 'node_modules/skipped', '.cache/skipped']) await repository(place, path);
  await mkdir(join(place.workspace, 'worktree'));
  await writeFile(join(place.workspace, 'worktree/.git'), 'gitdir: /elsewhere');
  const { readOnlyInside, pinnedInside } = await planMounts(wishes(place));
  expect(readOnlyInside.sort()).toEqual(['.git', 'deep/er/two/.git', 'one/.git', 'worktree/.git']);
  expect(pinnedInside).toEqual([]);
});

test('with commits allowed only what makes git run programs is read-only', async () => {
  const place = await newPlace();
  await repository(place, '.');
  await repository(place, 'other');
  await mkdir(join(place.workspace, 'other/.git/modules'));
  const { readOnlyInside, pinnedInside } = await planMounts(wishes(place, { git: 'commits' }));
  expect(pinnedInside.sort()).toEqual(['.git', 'other/.git']);
  expect(readOnlyInside.sort()).toEqual([
    '.git/config',
    '.git/hooks',
    'other/.git/config',
    'other/.git/hooks',
    'other/.git/modules',
  ]);
});

test('a repository whose hooks are a link is read-only as a whole, commits or not', async () => {
  const place = await newPlace();
  await mkdir(join(place.workspace, '.git'));
  await writeFile(join(place.workspace, '.git/config'), '');
  await symlink('../hooks', join(place.workspace, '.git/hooks'));
  expect((await planMounts(wishes(place, { git: 'commits' }))).readOnlyInside).toEqual(['.git']);
});

test('what is protected and missing is made, so that nobody else makes it', async () => {
  const place = await newPlace();
  const protectedPaths = ['AGENTS.md', 'skills/'];
  const plan = await planMounts(wishes(place, { protectedPaths }));
  expect(plan.readOnlyInside).toEqual(['.git', 'AGENTS.md', 'skills']);
  expect((await readdir(place.workspace)).sort()).toEqual(['.git', 'AGENTS.md', 'skills']);
  expect(await planMounts(wishes(place, { protectedPaths }))).toEqual(plan);
});

test('a protected name that is a link is refused, since a mount cannot hold it', async () => {
  const place = await newPlace();
  await symlink('elsewhere.md', join(place.workspace, 'AGENTS.md'));
  await expect(planMounts(wishes(place, { protectedPaths: ['AGENTS.md'] }))).rejects.toThrow(
    'AGENTS.md in the workspace is a link',
  );
});

test('a workspace that contains the secrets is refused', async () => {
  const place = await newPlace();
  await expect(planMounts(wishes({ ...place, workspace: join(place.dataDir, '..') }))).rejects.toThrow(
    'choose another workspace',
  );
});

test('binds are resolved first and refused when they are missing or hold secrets', async () => {
  const place = await newPlace();
  const tools = join(place.workspace, '../tools');
  await mkdir(tools);
  await mkdir(join(tools, '.ssh'));
  await symlink(join(tools, '.ssh'), join(tools, 'innocent'));
  expect((await planMounts(wishes(place, { readOnlyBinds: [tools] }))).readOnlyBinds).toEqual([
    join(place.dataDir, '../tools'),
  ]);
  for (const bad of [
    '/nowhere',
    join(tools, '.ssh'),
    join(tools, 'innocent'),
    place.dataDir,
    join(place.dataDir, '..'),
  ]) {
    await expect(planMounts(wishes(place, { readWriteBinds: [bad] }))).rejects.toThrow('tools.exec');
  }
});

test('a command starts in a folder of the workspace and nowhere else', async () => {
  const { workspace, dataDir } = await newPlace();
  await mkdir(join(workspace, 'notes'));
  await writeFile(join(workspace, 'file'), '');
  await symlink(dataDir, join(workspace, 'out'));
  await symlink('notes', join(workspace, 'in'));
  const found = ['.', 'notes', 'in', join(workspace, 'notes'), '/workspace/notes', '/workspace'];
  expect(await Promise.all(found.map((path) => workingDirIn(workspace, path)))).toEqual([
    '.',
    'notes',
    'notes',
    'notes',
    'notes',
    '.',
  ]);
  for (const bad of ['..', 'out', '/', '/workspacenotes', 'file', 'missing', 'notes/../../data', '/workspace/..']) {
    expect(await workingDirIn(workspace, bad)).toBeUndefined();
  }
});
