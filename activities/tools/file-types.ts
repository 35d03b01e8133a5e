// The short names of kinds of files that find_files and grep take as `type`.

/** A schema would be for one tool; both say it the same way. */
export const typeDescription = 'Kind of file by its ending: md, py, ts, json, …';

/** Letters, digits and a few signs: it becomes part of a glob. */
export const typePattern = /^[\w+-]{1,20}$/;

const endings: Readonly<Record<string, readonly string[]>> = {
  md: ['md', 'mdx', 'markdown'],
  markdown: ['md', 'mdx', 'markdown'],
  py: ['py', 'pyi'],
  python: ['py', 'pyi'],
  js: ['js', 'jsx', 'mjs', 'cjs'],
  ts: ['ts', 'tsx', 'mts', 'cts'],
  rust: ['rs'],
  sh: ['sh', 'bash'],
  yaml: ['yaml', 'yml'],
  yml: ['yaml', 'yml'],
  html: ['html', 'htm'],
  css: ['css', 'scss', 'sass'],
  jpg: ['jpg', 'jpeg'],
};

/** The endings of a type, without the dot; an unknown type is its own ending. */
export function endingsOf(type: string): readonly string[] {
  const name = type.toLowerCase();
  return Object.hasOwn(endings, name) ? (endings[name] ?? [name]) : [name];
}
