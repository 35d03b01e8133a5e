import { FileRefusal, shown } from './file-refusal.js';

/**
 * What file tools never write, at any depth, because a later command runs it or obeys it: git's hooks, and the settings (`.git/config`,
 * a `.git` file that points elsewhere, a submodule's own folder) that name programs or other hooks. Git itself may change all of it.
 */
const protectedNames: readonly string[] = ['.git'];

/**
 * `names` are the parts of a path whose links are resolved. Case and invisible characters do not count: some disks take `.GIT`, or
 * `.git` with a zero-width joiner in it, for the same name.
 */
export function refuseProtected(names: readonly string[], path: string): void {
  const hit = names.find((name) => protectedNames.includes(name.replace(/\p{Cf}/gu, '').toLowerCase()));
  if (hit === undefined) return;
  throw new FileRefusal(
    'protected',
    path,
    `${shown(path)} is protected: file tools never write in ${protectedNames.join(', ')}, whose hooks and settings would run later. The person can change them by hand.`,
  );
}
