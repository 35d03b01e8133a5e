import { mkdir, mkdtemp, readdir, readFile, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test } from '@jest/globals';
import { createReadPersona, type ReadPersona } from '../../../activities/model/persona.js';
import { systemPrompt } from '../../../activities/model/system-prompt.js';
import { openWorkspace } from '../../../activities/tools/workspace.js';

const templateFolder = 'workers/templates';
let folder: string;
let read: ReadPersona;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'persona-'));
  const names = await readdir(templateFolder);
  const templates = new Map<string, string>();
  for (const name of names) templates.set(name, await readFile(join(templateFolder, name), 'utf8'));
  read = createReadPersona({ workspace: await openWorkspace(folder), templates });
});

const put = (name: string, text: string) => writeFile(join(folder, name), text);
const prompt = async (more = {}) => systemPrompt({ persona: await read(), ...more });

test('the parts stand in a fixed order, joined by rules', async () => {
  await put('TOOLS.md', 'The printer is called lp1.');
  await put('AGENTS.md', 'Answer in German.');
  await put('USER.md', 'I am Ada.');
  await put('SOUL.md', 'Be dry.');
  const parts = (await prompt()).split('\n\n---\n\n').map((part) => part.split('\n')[0]);
  expect(parts.slice(1)).toEqual(['## AGENTS.md', '## SOUL.md', '## USER.md', '## TOOLS.md', 'How tools work here:']);
  expect(parts[0]).toMatch(/^You are durabot/);
});

test('a file that is missing, empty, as onboarding wrote it, or no plain file is left out', async () => {
  await put('AGENTS.md', (await readFile(join(templateFolder, 'AGENTS.md'), 'utf8')).replaceAll('\n', '\r\n'));
  await put('SOUL.md', ' \n');
  await mkdir(join(folder, 'USER.md'));
  await symlink('/etc/hostname', join(folder, 'TOOLS.md'));
  expect(await read()).toEqual([]);
});

test('every file that the prompt reads has a template', async () => {
  expect(await readdir(templateFolder)).toEqual(
    expect.arrayContaining(['AGENTS.md', 'HEARTBEAT.md', 'MEMORY.md', 'SOUL.md', 'TOOLS.md', 'USER.md']),
  );
});

test('a file of more than 20,000 characters is cut, and the model is told', async () => {
  await put('USER.md', 'ä'.repeat(50_000));
  const [file] = await read();
  expect(file?.text).toMatch(/^ä{20000}\n\n\[USER\.md is cut here/);
});

test('unchanged files give equal bytes, a change is seen at the next step', async () => {
  await put('USER.md', 'I am Ada.');
  const before = await prompt();
  expect(await prompt()).toBe(before);
  await put('USER.md', 'I am Bob.');
  await utimes(join(folder, 'USER.md'), new Date(), new Date(Date.now() + 5000));
  expect(await prompt()).toContain('I am Bob.');
});

test('--system replaces the files of the person, never the policy', async () => {
  await put('USER.md', 'I am Ada.');
  const text = await prompt({ replacement: 'Talk like a pirate.', rules: ['exec is denied for "rm *".'] });
  expect(text).toContain('Talk like a pirate.');
  expect(text).toContain('Rules that always hold:');
  expect(text).toContain('- exec is denied for "rm *".');
  expect(text).not.toContain('Ada');
});
