// Builds the request of a step from the rows of the transcript. Pure: equal rows give equal bytes, so a retry asks the same
// and a provider's cache is hit.
import type { Entry } from '../../store/entry.js';
import { fitItems } from './fit.js';
import { noteText } from './markers.js';
import type { ModelMessage, ModelRequest, ToolSpec } from './model.js';
import { pairEntries, type ShownItem } from './paired.js';
import { estimateTokens } from './tokens.js';
import { repairText } from './visible-text.js';

export interface ContextInput {
  /** The conversation's view as of the opening, in stored order, the running turn last. */
  entries: readonly Entry[];
  /** The running turn: never cut, and its own notices are not shown to the model. */
  turnId: string;
  system: string;
  /** Empty at a limit, together with `closing`. */
  tools: readonly ToolSpec[];
  /** Which limit was reached: the model is asked for a closing answer. */
  closing?: string;
  /** Name of the provider that is asked: its own blocks go back to it. */
  provider: string;
  model: string;
  maxTokens: number;
  temperature: number;
  reasoningEffort?: string;
  budgetTokens: number;
  /** What the store was asked for at most, when it reads only the newest entries. Twice the budget leaves room for stubs. */
  readTokens?: number;
  timeZone: string;
  /** For system prompt and tools alone; pass a `createTokenCounter` that outlives the step. */
  count?(text: string): number;
}

export interface BuiltContext {
  request: ModelRequest;
  /** Estimated, of the whole request. */
  tokens: number;
  /** Old results that became stubs, and turns no longer shown. */
  stubs: number;
  cutTurns: number;
  /** Set when it does not fit whatever is left out: what is too big, in words for the person. */
  tooLarge?: string;
}

export function buildContext(input: ContextInput): BuiltContext {
  const { entries, turnId, provider, timeZone, system, count = estimateTokens } = input;
  const tools = [...input.tools];
  const closing = input.closing === undefined ? [] : [closingItem(turnId, input.closing)];
  const fixedTokens = count(system) + (tools.length > 0 ? count(JSON.stringify(tools)) : 0);
  const items = [...pairEntries(entries, { turnId, provider, timeZone }), ...closing];
  const { budgetTokens, readTokens = Number.POSITIVE_INFINITY } = input;
  const fitted = fitItems(items, { budgetTokens, fixedTokens, turnId, readTokens });
  return {
    request: {
      model: input.model,
      system: repairText(system),
      messages: toMessages(fitted.items),
      tools,
      maxTokens: input.maxTokens,
      temperature: input.temperature,
      ...(input.reasoningEffort === undefined ? {} : { reasoningEffort: input.reasoningEffort }),
    },
    tokens: fitted.tokens,
    stubs: fitted.stubs,
    cutTurns: fitted.cutTurns,
    tooLarge: fitted.tooLarge,
  };
}

export interface BudgetInput {
  windowTokens: number;
  maxTokens: number;
  /** `contextBlockLimit` of the config. */
  blockLimit?: number | null;
}

/**
 * What may be read, and what may be written, so that both fit the window. In a window that would leave no room beside
 * `maxTokens`, the answer gets half of it.
 */
export function contextBudget({ windowTokens, maxTokens, blockLimit }: BudgetInput) {
  const answer = Math.min(maxTokens, Math.floor(windowTokens / 2));
  const budgetTokens = blockLimit ?? Math.max(windowTokens - answer - 1024, Math.floor(windowTokens / 4));
  return { budgetTokens, maxTokens: answer };
}

/**
 * The budget after "context too long": the window that the provider named, or three quarters of what did not fit. Our counts
 * are estimates, so a window that we thought we had kept to still shrinks the budget.
 */
export function budgetAfterRejection(sentTokens: number, maxTokens: number, windowTokens: number | undefined): number {
  const learnt = windowTokens === undefined ? sentTokens : contextBudget({ windowTokens, maxTokens }).budgetTokens;
  return Math.floor(Math.min(learnt, sentTokens * 0.75));
}

function closingItem(turnId: string, limit: string): ShownItem {
  const text = noteText(
    `This turn has reached its limit: ${limit}. No tool can be used any more. Write the closing answer now: what is done, what is still open, and how the person can go on.`,
  );
  return { kind: 'user', turnId, text, tokens: 60 };
}

function toMessages(items: readonly ShownItem[]): ModelMessage[] {
  const messages: ModelMessage[] = [];
  for (const item of items) addMessage(messages, toMessage(item));
  // A conversation begins and ends with the other side: some providers refuse anything else, some take it for a prefill.
  if (messages[0] !== undefined && messages[0].role !== 'user') {
    messages.unshift({ role: 'user', text: noteText('The conversation begins here.') });
  }
  const last = messages.at(-1);
  if (last === undefined || last.role === 'assistant') messages.push({ role: 'user', text: noteText('Go on.') });
  return messages;
}

function toMessage(item: ShownItem): ModelMessage {
  switch (item.kind) {
    case 'user':
      return { role: 'user', text: repairText(item.text) };
    case 'result':
      return { role: 'tool', callId: item.callId, name: item.tool, text: repairText(item.text) };
    case 'assistant': {
      const calls = item.calls.map((call) => ({ id: call.id, name: call.tool, arguments: repairText(call.arguments) }));
      const providerBlock = item.block === undefined ? {} : { providerBlock: item.block };
      return { role: 'assistant', text: repairText(item.text), calls, ...providerBlock };
    }
    default:
      return item satisfies never;
  }
}

/** Neighbours of one role become one message. A block belongs to the reply it came with: of two, the later one's stays. */
function addMessage(messages: ModelMessage[], message: ModelMessage): void {
  const last = messages.at(-1);
  if (message.role === 'user' && last?.role === 'user') {
    last.text = join(last.text, message.text);
  } else if (message.role === 'assistant' && last?.role === 'assistant' && last.calls.length === 0) {
    messages[messages.length - 1] = { ...message, text: join(last.text, message.text) };
  } else {
    messages.push(message);
  }
}

function join(before: string, after: string): string {
  return [before, after].filter((text) => text !== '').join('\n\n');
}
