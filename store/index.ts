// The store: one function for each transaction and query, grouped by the rows they own. Every call may be repeated.
import type { CallRef } from '../workflows/contract.js';
import type { Ending } from './closing.js';
import { setConversationModel } from './conversation-settings.js';
import { accept, type Incoming } from './conversations.js';
import type { StoreDeps } from './deps.js';
import * as effects from './effects.js';
import * as installation from './installation.js';
import * as kill from './kill.js';
import * as outbox from './outbox.js';
import * as overview from './overview.js';
import type { Attempt } from './rows.js';
import * as transcript from './transcript.js';
import * as turns from './turns.js';

export function createStore(deps: StoreDeps) {
  return {
    conversations: {
      accept: (incoming: Incoming) => accept(deps, incoming),
      stop: (conversationId: string, how: { cancelReplies: boolean }) =>
        kill.stopConversation(deps, conversationId, how),
      remove: (conversationId: string) => kill.deleteConversation(deps, conversationId),
      setModel: (conversationId: string, model: string) => setConversationModel(deps, conversationId, model),
    },
    turns: {
      close: (turnId: string, owner: string, ending: Ending) => turns.closeTurn(deps, turnId, owner, ending),
      find: (turnId: string) => turns.findTurn(deps, turnId),
      ofMessage: (inboxId: string) => turns.turnOfMessage(deps, inboxId),
      open: (pageRows?: number) => turns.openTurns(deps, pageRows),
      renewOwner: (turnId: string, lostOwner: string) => turns.renewOwner(deps, turnId, lostOwner),
      startedExecs: (turnId: string, host: string) => turns.startedExecs(deps, turnId, host),
      liveCalls: (keys: string[]) => turns.liveCalls(deps, keys),
    },
    transcript: {
      openStep: (opening: { turnId: string; step: number; attempt: Attempt }) => transcript.openStep(deps, opening),
      recordStep: (record: transcript.StepRecord) => transcript.recordStep(deps, record),
      noteOutage: (turnId: string, attempt: Attempt, nextDelayMs: number) =>
        transcript.noteOutage(deps, turnId, attempt, nextDelayMs),
      entries: (query: Parameters<typeof transcript.readEntries>[1]) => transcript.readEntries(deps, query),
    },
    effects: {
      intend: (ref: CallRef, attempt: Attempt, host: string) => effects.intend(deps, ref, attempt, host),
      finish: (ref: CallRef, token: string, result: effects.CallResult) => effects.finish(deps, ref, token, result),
      renew: (ref: CallRef, token: string) => effects.renewEffect(deps, ref, token),
      remember: (ref: CallRef, token: string, memo: unknown) => effects.rememberForCall(deps, ref, token, memo),
      read: (ref: CallRef) => effects.readCall(deps, ref),
      settle: (seen: effects.Effect, result: effects.CallResult) => effects.settle(deps, seen, result),
      result: (conversationId: string, handle: string) => effects.findResult(deps, conversationId, handle),
    },
    outbox: {
      claim: (request: Parameters<typeof outbox.claimRow>[1]) => outbox.claimRow(deps, request),
      renew: (row: outbox.ClaimedRow) => outbox.renewRow(deps, row),
      markSent: (row: outbox.ClaimedRow, receipt: unknown, flagged?: boolean) =>
        outbox.markSent(deps, row, receipt, flagged),
      release: (row: outbox.ClaimedRow, delayMs: number, reason: string) =>
        outbox.releaseRow(deps, row, delayMs, reason),
      bury: (row: outbox.ClaimedRow, state: 'failed' | 'unknown', reason: string) =>
        outbox.buryRow(deps, row, state, reason),
      find: (id: string) => outbox.findRow(deps, id),
      dueDestinations: (limit?: number) => outbox.dueDestinations(deps, limit),
      notice: (turnId: string, name: string, text: string) => outbox.insertNotice(deps, turnId, name, text),
    },
    overview: {
      report: (turnId: string) => overview.readTurnReport(deps, turnId),
      conversations: (limit?: number) => overview.listConversations(deps, limit),
      conversation: (name: string) => overview.findConversation(deps, name),
      terminalChat: (conversationId: string) => overview.terminalChatOf(deps, conversationId),
      turnsAfter: (conversationId: string, seq: number) => overview.turnsAfter(deps, conversationId, seq),
      calls: (turnId: string) => overview.callsOf(deps, turnId),
      transcript: (query: Parameters<typeof overview.readTranscript>[1]) => overview.readTranscript(deps, query),
      openTurns: (limit?: number) => overview.openTurnLines(deps, limit),
    },
    installation: {
      namespaceId: () => installation.readNamespaceId(deps),
      setNamespaceId: (id: string) => installation.writeNamespaceId(deps, id),
      isPaused: () => installation.isPaused(deps),
      setPaused: (paused: boolean) => installation.setPaused(deps, paused),
    },
    crashPoint: deps.crashPoint,
  };
}

export type Store = ReturnType<typeof createStore>;
