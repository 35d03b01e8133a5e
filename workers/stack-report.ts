// What of the local stack runs and answers, for `status` and `doctor`. Looks, and starts nothing.

import { whyNotReady } from './local-stack/postgres-server.js';
import { findLocalStack } from './local-stack/stack.js';
import type { StackSettings } from './local-stack/stack-settings.js';
import { inspectNamespace, type NamespaceFacts } from './local-stack/temporal-namespace.js';

/** `stopped`: nothing of ours runs. `unreachable`: it should answer and does not. */
export type ServerState = 'running' | 'stopped' | 'unreachable';

export interface StackReport {
  temporal: {
    state: ServerState;
    /** Set by TEMPORAL_ADDRESS. */
    given: boolean;
    address?: string | undefined;
    ui?: string | undefined;
    namespace: string;
    pid?: number | undefined;
    facts?: NamespaceFacts | undefined;
  };
  postgres: { state: ServerState; given: boolean; pid?: number | undefined };
}

export async function inspectStack(settings: StackSettings): Promise<StackReport> {
  const { temporal, postgres } = await findLocalStack(settings);
  const [facts, postgresReady] = await Promise.all([
    temporal && inspectNamespace(temporal.address, temporal.namespace).catch(() => undefined),
    postgres && whyNotReady(postgres.databaseUrl).then((failure) => failure === undefined),
  ]);
  return {
    temporal: {
      state: temporal ? (facts ? 'running' : 'unreachable') : 'stopped',
      given: settings.temporalAddress !== undefined,
      address: temporal?.address,
      ui: temporal?.uiUrl,
      namespace: settings.temporalNamespace,
      pid: temporal?.pid,
      facts,
    },
    postgres: {
      state: postgres ? (postgresReady ? 'running' : 'unreachable') : 'stopped',
      given: settings.databaseUrl !== undefined,
      pid: postgres?.pid,
    },
  };
}
