// The tool that starts a subagent. It never runs as an activity: the step that plans it writes the child's row, and the loop starts
// the child's workflow.
import { z } from 'zod';
import type { Brief } from '../../store/children.js';
import { defineTool, failure, type Tool } from './tool.js';

const input = z.object({
  task: z
    .string()
    .min(1)
    .max(20_000)
    .describe('The brief: everything the subagent must know. It sees nothing of this conversation.'),
  label: z.string().max(60).optional().describe('A few words for the status list.'),
  tools: z.array(z.string()).optional().describe('Names of the tools it may use; all of its kind when left out.'),
  model: z.string().optional().describe('Another model for it.'),
  max_model_calls: z.number().int().min(1).max(100).default(15),
  temperature: z.number().min(0).max(2).optional(),
  wait: z
    .boolean()
    .default(false)
    .describe('true: its result is the result of this call. false: it goes on in the background.'),
});
type SpawnInput = z.output<typeof input>;

/** Depth of a turn whose calls may not spawn: turn, child, grandchild. */
export const deepestTurn = 2;

export const spawnTool: Tool<SpawnInput> = defineTool<SpawnInput>({
  name: 'spawn',
  description:
    'Starts a subagent with a brief of its own, for work that can be done apart or side by side. Call it several times in one answer to have several at once.',
  input,
  effect: 'idempotent',
  defaultPolicy: 'allow',
  timeoutMs: 60_000,
  summary: ({ label }) => `spawn ${label ?? 'subagent'}`,
  brief: toBrief,
  run: async () => failure('a subagent is started by the step that plans it'),
});

function toBrief({ task, label, tools, model, max_model_calls: steps, temperature, wait }: SpawnInput): Brief {
  return {
    task,
    label: label ?? null,
    wait,
    limits: { steps },
    settings: { ...(model && { model }), ...(temperature !== undefined && { temperature }), ...(tools && { tools }) },
  };
}
