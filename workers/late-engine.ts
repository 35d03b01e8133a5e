// The engine for processes that may do without one for a while: opened by its first use, and without waiting for a server.
import type { Engine } from '../workflows/contract.js';
import type { Base } from './compose.js';

/** `pick` is asked at each use: a process that becomes a worker uses that worker's engine from then on. */
export function lateEngine(pick: () => Promise<Engine>): Engine {
  return {
    startTurn: async (turn) => (await pick()).startTurn(turn),
    cancel: async (workflowId) => (await pick()).cancel(workflowId),
    terminate: async (workflowId, reason) => (await pick()).terminate(workflowId, reason),
    describe: async (workflowId) => (await pick()).describe(workflowId),
    wakeDelivery: async (destination) => (await pick()).wakeDelivery(destination),
    wakeReconcile: async () => (await pick()).wakeReconcile(),
  };
}

export interface ClientEngine {
  open(): Promise<Engine>;
  close(): Promise<void>;
}

/** A client's own connection. The SDK takes 300 ms to load, which a command that starts nothing is spared. */
export function createClientEngine({ config, servers, models, storeDeps }: Base): ClientEngine {
  let opened: Promise<{ engine: Engine; close(): Promise<void> }> | undefined;
  async function connect() {
    const [{ Client, Connection }, { createEngine }] = await Promise.all([
      import('@temporalio/client'),
      import('./engine.js'),
    ]);
    const connection = Connection.lazy({ address: servers.temporalAddress });
    const client = new Client({ connection, namespace: servers.namespace });
    const { transcriptChannels } = storeDeps;
    const engine = createEngine({
      client,
      taskQueue: config.taskQueue,
      eager: false,
      modelName: models.name,
      transcriptChannels,
    });
    return { engine, close: () => connection.close() };
  }
  return {
    async open() {
      opened ??= connect();
      return (await opened).engine;
    },
    async close() {
      await (await opened)?.close();
    },
  };
}
