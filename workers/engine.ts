// The engine behind one client: how runs are started, found and ended.
import {
  type Client,
  isGrpcServiceError,
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
} from '@temporalio/client';
import { defineSearchAttributeKey } from '@temporalio/common';
import type { Engine, StartableTurn } from '../workflows/contract.js';

export interface EngineOptions {
  client: Client;
  taskQueue: string;
  /** Only a client on the connection of a worker in this process may ask for an eager start. */
  eager: boolean;
  /** The configured model's name, shown in the UI; the turn's row decides. */
  modelName: string;
  /** Their replies stand in the transcript: turns of theirs deliver nothing. */
  transcriptChannels: readonly string[];
}

const durabotConversation = defineSearchAttributeKey('durabotConversation', 'KEYWORD');
const durabotChannel = defineSearchAttributeKey('durabotChannel', 'KEYWORD');
const durabotModel = defineSearchAttributeKey('durabotModel', 'KEYWORD');

export function createEngine({ client, taskQueue, eager, modelName, transcriptChannels }: EngineOptions): Engine {
  const start = async (turn: StartableTurn) => {
    const type = turn.kind === 'subagent' ? 'subagent' : 'turn';
    await client.workflow.start(type, {
      workflowId: turn.owner,
      taskQueue,
      args: [
        {
          turnId: turn.turnId,
          model: modelName,
          delayMs: turn.delayMs || undefined,
          inTranscript: transcriptChannels.includes(turn.channel) || undefined,
        },
      ],
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
      workflowIdConflictPolicy: 'FAIL',
      workflowRunTimeout: '30 days', // a net only: limits are judged where a step opens, and a pause has no end of its own
      workflowTaskTimeout: '1 second',
      requestEagerStart: eager,
      staticSummary: `${turn.channel}, conversation ${turn.conversationId}`,
      typedSearchAttributes: [
        { key: durabotConversation, value: turn.conversationId },
        { key: durabotChannel, value: turn.channel },
        { key: durabotModel, value: modelName },
      ],
    });
  };
  return {
    async startTurn(turn) {
      await start(turn).catch((error: unknown) => {
        if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      });
    },
    async cancel(workflowId) {
      await ignoreMissing(client.workflow.getHandle(workflowId).cancel());
    },
    async terminate(workflowId, reason) {
      await ignoreMissing(client.workflow.getHandle(workflowId).terminate(reason));
    },
    async describe(workflowId) {
      try {
        const { status } = await client.workflow.getHandle(workflowId).describe();
        return status.name === 'RUNNING' ? 'open' : 'closed';
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return 'unknown';
        throw error;
      }
    },
    async wakeDelivery(destination) {
      await client.workflow.signalWithStart('delivery', {
        workflowId: `delivery/${destination}`,
        taskQueue,
        args: [{ destination }],
        signal: 'wake',
        signalArgs: [],
        workflowIdReusePolicy: 'ALLOW_DUPLICATE',
        workflowTaskTimeout: '1 second',
        staticSummary: 'replies that no turn sends',
      });
    },
    async wakeReconcile() {
      await client.workflow.signalWithStart('reconcile', {
        workflowId: 'reconcile',
        taskQueue,
        args: [],
        signal: 'wake',
        signalArgs: [],
        workflowIdReusePolicy: 'ALLOW_DUPLICATE',
        workflowTaskTimeout: '1 second',
        staticSummary: 'makes the engine equal to the store',
      });
    },
  };
}

async function ignoreMissing(request: Promise<unknown>): Promise<void> {
  try {
    await request;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return;
    if (isGrpcServiceError(error) && error.code === 5) return; // NOT_FOUND
    throw error;
  }
}
