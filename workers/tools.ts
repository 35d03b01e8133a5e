// The tools of a worker, by what the configuration switches on.
import { applyPatchTool } from '../activities/tools/apply-patch.js';
import { editFileTool } from '../activities/tools/edit-file.js';
import { createExecTool, type ExecToolOptions } from '../activities/tools/exec/exec.js';
import { probeSandbox, type Sandbox } from '../activities/tools/exec/sandbox.js';
import { findFilesTool } from '../activities/tools/find-files.js';
import { grepTool } from '../activities/tools/grep.js';
import { listDirTool } from '../activities/tools/list-dir.js';
import { readFileTool } from '../activities/tools/read-file.js';
import { spawnTool } from '../activities/tools/spawn.js';
import type { Tool } from '../activities/tools/tool.js';
import { writeFileTool } from '../activities/tools/write-file.js';
import type { Config } from './config.js';
import { readVariables } from './turn-variables.js';

export function toolsFor(config: Config, dataDir: string): Tool[] {
  return [
    readFileTool,
    writeFileTool,
    editFileTool,
    applyPatchTool,
    listDirTool,
    findFilesTool,
    grepTool,
    ...(config.exec.enable ? [execFor(config, dataDir)] : []),
    spawnTool,
  ];
}

function execFor({ home, exec, environment }: Config, dataDir: string): Tool {
  const options: ExecToolOptions = {
    dataDir,
    sandbox: exec.sandbox ? rememberedProbe() : async () => ({ kind: 'off' }),
    timeoutSeconds: Math.ceil(exec.timeoutMs / 1000),
    env: environment.forCommands,
    readOnlyBinds: exec.readOnlyBinds,
    readWriteBinds: exec.readWriteBinds,
  };
  const tool = createExecTool(options);
  return {
    ...tool,
    async run(input, context) {
      const own = await readVariables(home, context.turnId);
      if (Object.keys(own).length === 0) return tool.run(input, context);
      return createExecTool({ ...options, env: { ...options.env, ...own } }).run(input, context);
    },
  } as typeof tool;
}

// What is ready stays so; what is absent may be installed while we run.
function rememberedProbe(): () => Promise<Sandbox> {
  let ready: Sandbox | undefined;
  return async () => {
    const found = ready ?? (await probeSandbox());
    if (found.kind === 'ready') ready = found;
    return found;
  };
}
