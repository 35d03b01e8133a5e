// A workspace in a folder of its own, and the context that the ledger would hand to a tool.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll } from '@jest/globals';
import type { Tool, ToolContext, ToolResult } from '../../../activities/tools/tool.js';
import { openWorkspace, type Workspace } from '../../../activities/tools/workspace.js';

const made: string[] = [];
afterAll(() => Promise.all(made.map((folder) => rm(folder, { recursive: true, force: true }))));

/** A new folder that goes with the test file. */
export async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'durabot-tools-'));
  made.push(folder);
  return folder;
}

/** A workspace that holds `files`, by their path. */
export async function workspaceWith(files: Record<string, string | Uint8Array> = {}): Promise<Workspace> {
  const workspace = await openWorkspace(await newFolder());
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(workspace.root, path)), { recursive: true });
    await writeFile(join(workspace.root, path), content);
  }
  return workspace;
}

/** One call, with the memory that its attempts share. */
export function callOn(workspace: Workspace, given: Partial<ToolContext> = {}): ToolContext {
  const context: ToolContext = {
    turnId: '7-1',
    callId: 's1.c1',
    key: '7-1/s1.c1',
    workspace,
    results: { find: async () => undefined },
    mayStart: true,
    signal: new AbortController().signal,
    remembered: undefined,
    remember: async (value) => {
      if (JSON.stringify(value).length > 2_048) throw new Error('more than a call may keep');
      context.remembered = JSON.parse(JSON.stringify(value));
    },
    ...given,
  };
  return context;
}

/** Runs a tool as the ledger does: what the model gave goes through the schema first. */
export async function run<Input>(tool: Tool<Input>, input: unknown, context: ToolContext): Promise<ToolResult> {
  return tool.run(tool.input.parse(input), context);
}
