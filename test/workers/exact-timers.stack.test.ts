// Untuned, the server rounds every timer up to a second: then both arms below would take the same.
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { ApplicationFailure, Context } from '@temporalio/activity';
import { Client } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';

const taskQueue = `exact-timers-${process.pid}-${Date.now()}`;

async function failOnce(): Promise<void> {
  if (Context.current().info.attempt === 1) throw ApplicationFailure.retryable('the first attempt fails');
}

Runtime.install({ logger: new DefaultLogger('ERROR') });

test('a retry after 100 ms does not take a second', async () => {
  const connection = await NativeConnection.connect({ address: process.env.DURABOT_TEST_TEMPORAL_ADDRESS });
  const worker = await Worker.create({
    connection,
    taskQueue,
    workflowsPath: fileURLToPath(new URL('./retry-once.ts', import.meta.url)),
    activities: { failOnce },
  });
  const client = new Client({ connection });
  const timeOf = async (interval: string, run: number) => {
    const began = performance.now();
    await client.workflow.execute('retryOnce', {
      taskQueue,
      workflowId: `${taskQueue}/${interval}/${run}`,
      args: [interval],
    });
    return performance.now() - began;
  };
  const { short, long } = await worker.runUntil(async () => {
    await timeOf('1 ms', 0); // the first run pays for what is loaded once
    const times: { short: number[]; long: number[] } = { short: [], long: [] };
    for (const run of [1, 2, 3]) {
      times.short.push(await timeOf('100 ms', run));
      times.long.push(await timeOf('1000 ms', run));
    }
    return { short: Math.min(...times.short), long: Math.min(...times.long) };
  });
  await connection.close();
  expect(long).toBeGreaterThan(1000);
  expect(short / long).toBeLessThan(0.45);
});
