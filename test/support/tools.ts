// Tools for tests: one of each class that counts what it did, and one that works until it is told to end.
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { defineTool, success, type Tool } from '../../activities/tools/tool.js';

export interface CountingTools {
  tools: Tool[];
  /** `<tool> <name>` for each time that one ran. */
  done: string[];
  /** Resolves when a tool of this name has begun for the nth time. */
  begun(name: string, times?: number): Promise<void>;
  /** Lets tools named `hold` go on. */
  release(): void;
}

const input = z.object({ name: z.string() });
type Named = z.infer<typeof input>;

export function countingTools(): CountingTools {
  const done: string[] = [];
  const began: string[] = [];
  const watchers = new Set<() => void>();
  let open = () => {};
  let gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const begin = (tool: string, name: string) => {
    began.push(`${tool} ${name}`);
    for (const look of watchers) look();
  };
  const tool = (name: string, changes: Partial<Tool<Named>>): Tool<Named> =>
    defineTool<Named>({
      name,
      description: `Does ${name}.`,
      input,
      effect: 'idempotent',
      defaultPolicy: 'allow',
      timeoutMs: 30_000,
      summary: (call) => `${name} ${call.name}`,
      async run(call) {
        begin(name, call.name);
        done.push(`${name} ${call.name}`);
        return success(`${name} of ${call.name} is done`);
      },
      ...changes,
    });
  const holding: Tool<Named>['run'] = async (call, { signal }) => {
    begin('hold', call.name);
    await Promise.race([gate, sleep(60_000, undefined, { signal, ref: false })]);
    done.push(`hold ${call.name}`);
    return success(`hold of ${call.name} is done`);
  };
  return {
    tools: [
      tool('look', { effect: 'read', local: true, timeoutMs: 5_000 }),
      tool('fetch', { effect: 'read' }),
      tool('put', {}),
      tool('mail', { effect: 'once' }),
      tool('hold', { run: holding }),
      tool('hold_read', { effect: 'read', run: holding }),
      tool('forbidden', { defaultPolicy: 'ask', effect: 'once' }),
      tool('large', { effect: 'read', run: async ({ name }) => success(`${name} `.repeat(20_000)) }),
      tool('broken', {
        effect: 'read',
        run: async () => {
          throw new Error('the disk is broken');
        },
      }),
    ],
    done,
    async begun(name, times = 1) {
      while (began.filter((entry) => entry.startsWith(`${name} `)).length < times) {
        await new Promise<void>((resolve) => {
          const look = () => {
            watchers.delete(look);
            resolve();
          };
          watchers.add(look);
        });
      }
    },
    release() {
      open();
      gate = new Promise<void>((resolve) => {
        open = resolve;
      });
    },
  };
}
