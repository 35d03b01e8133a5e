// This process takes tasks: a worker, known to `status` and `down`, with the addresses of the stack written down for people and scripts.
import type { Agent } from './agent.js';
import { type Base, toAgentOptions } from './compose.js';
import { writeEndpoints } from './local-stack/endpoints.js';
import { type LocalStack, toEndpoints } from './local-stack/stack.js';
import { announceProcess } from './presence.js';

/** Resolves when it polls. Closing lets running calls finish for ten seconds; open turns go on with the next worker. */
export async function openWorker(base: Base, stack: LocalStack, command: string): Promise<Agent> {
  const [options, { openAgent }, { installRuntime }] = await Promise.all([
    toAgentOptions(base),
    import('./agent.js'),
    import('./runtime.js'),
  ]);
  installRuntime(base.log);
  const agent = await openAgent(options);
  const withdraw = await announceProcess(base.config.home, { command, works: true });
  await writeEndpoints(base.config.home, toEndpoints(stack));
  base.log.info({ taskQueue: base.config.taskQueue }, 'Worker polls');
  return {
    ...agent,
    async close() {
      await agent.close();
      await withdraw();
      base.log.info('Worker has ended');
    },
  };
}
