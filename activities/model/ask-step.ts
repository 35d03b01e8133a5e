// What a step says to the model and what comes back: which model, what it is shown, which tools it is offered, what its calls become.

import { ApplicationFailure } from '@temporalio/common';
import type { Rule } from '../../policy/decide.js';
import type { Store } from '../../store/index.js';
import type { TurnSettings } from '../../store/rows.js';
import type { OpenedStep, StepRecord } from '../../store/transcript.js';
import type { BookedUsage } from '../../store/usage.js';
import { toolSpec } from '../tools/arguments.js';
import { deepestTurn } from '../tools/spawn.js';
import type { Tool } from '../tools/tool.js';
import { type Answer, askModel } from './ask-model.js';
import { type BuiltContext, budgetAfterRejection, buildContext, contextBudget } from './context.js';
import { failureTypeOf, windowTokensOf } from './failures.js';
import type { ChosenModel, ModelPrice, ModelUsage, ToolSpec } from './model.js';
import { planCalls } from './plan-calls.js';
import { createTokenCounter } from './tokens.js';

export type StepAnswer = Omit<StepRecord, 'turnId' | 'step' | 'attempt'>;

export interface AskOptions {
  step: number;
  signal: AbortSignal;
  /** Visible text as it comes; what it joins to is the answer's text. */
  onText(text: string): void;
}

export type AskStep = (opened: Extract<OpenedStep, { kind: 'open' }>, options: AskOptions) => Promise<StepAnswer>;

export interface AskDeps {
  store: Store;
  tools: ReadonlyMap<string, Tool>;
  rules: readonly Rule[];
  localReads: boolean;
  timeZone: string;
  contextBlockLimit: number | undefined;
  reasoningEffort: string | undefined;
  temperature: number;
  /** Throws a sentence for the person when the settings name a model that nothing serves. */
  choose(settings: TurnSettings): ChosenModel;
  /** Equal from turn to turn while the persona's files are. */
  systemPrompt(settings: TurnSettings, subagent: boolean): Promise<string>;
}

const mostShrinks = 2;

export function createAskStep(deps: AskDeps): AskStep {
  const count = createTokenCounter(); // the system prompt and the tools are counted once, not at every step
  const specs = new Map<Tool, ToolSpec>();
  const specOf = (tool: Tool) => {
    const spec = specs.get(tool) ?? toolSpec(tool);
    specs.set(tool, spec);
    return spec;
  };

  return async (opened, { step, signal, onText }) => {
    const { turn, limit } = opened;
    const chosen = deps.choose(turn.settings);
    const tools = limit ? new Map<string, Tool>() : offeredTools(deps.tools, turn.settings, turn.depth);
    const { budgetTokens, maxTokens } = contextBudget({
      windowTokens: chosen.contextWindowTokens,
      maxTokens: turn.settings.maxTokens ?? chosen.maxTokens,
      blockLimit: deps.contextBlockLimit,
    });
    // Twice the budget: large results become stubs before anything is left out.
    const readTokens = 2 * budgetTokens;
    const [entries, system] = await Promise.all([
      deps.store.transcript.entries({ conversationId: turn.conversationId, turnId: turn.id, maxTokens: readTokens }),
      deps.systemPrompt(turn.settings, turn.kind === 'subagent'),
    ]);
    const build = (budget: number) =>
      buildContext({
        entries,
        turnId: turn.id,
        system,
        tools: [...tools.values()].map(specOf),
        closing: limit ?? undefined,
        provider: chosen.provider.name,
        model: chosen.model,
        maxTokens,
        temperature: turn.settings.temperature ?? deps.temperature,
        reasoningEffort: deps.reasoningEffort,
        budgetTokens: budget,
        readTokens,
        count,
        timeZone: deps.timeZone,
      });
    const started = performance.now();
    let firstTokenMs: number | null = null;
    const heard = (text: string) => {
      firstTokenMs ??= Math.round(performance.now() - started);
      onText(text);
    };
    deps.store.crashPoint('model.request', 'before');
    const answer = await askWithinWindow(chosen, build, budgetTokens, { signal, onText: heard });
    deps.store.crashPoint('model.request', 'after');
    const repeated = new Set(opened.repeatedCalls);
    return {
      text: answer.text,
      calls: planCalls(answer.calls, {
        step,
        tools,
        rules: deps.rules,
        tainted: turn.tainted,
        localReads: deps.localReads,
        repeated,
      }),
      limit,
      usage: toBooked(chosen, answer),
      finishReason: answer.finishReason,
      providerBlock: answer.providerBlock,
      firstTokenMs,
    };
  };
}

/** "Context too long" from the provider: the real window is learnt, the view shortened, the request repeated. */
async function askWithinWindow(
  chosen: ChosenModel,
  build: (budget: number) => BuiltContext,
  budgetTokens: number,
  options: { signal: AbortSignal; onText(text: string): void },
): Promise<Answer> {
  let budget = budgetTokens;
  for (let shrinks = 0; ; shrinks++) {
    const context = build(budget);
    if (context.tooLarge) throw tooLong(context.tooLarge);
    try {
      return await askModel(chosen.provider, context.request, { ...options, inputTokens: context.tokens });
    } catch (error) {
      if (shrinks === mostShrinks || options.signal.aborted || failureTypeOf(error) !== 'ModelContextTooLong')
        throw error;
      budget = budgetAfterRejection(context.tokens, context.request.maxTokens, windowTokensOf(error));
    }
  }
}

function tooLong(what: string): ApplicationFailure {
  return ApplicationFailure.create({
    type: 'ModelContextTooLong',
    message: `Too big for the model's window: ${what}`,
    nonRetryable: true,
  });
}

/** A subagent's tools are never more than its parent's, and the deepest spawn nothing. */
function offeredTools(all: ReadonlyMap<string, Tool>, { tools }: TurnSettings, depth: number): Map<string, Tool> {
  return new Map(
    [...all].filter(([name, tool]) => (!tools || tools.includes(name)) && (!tool.brief || depth < deepestTurn)),
  );
}

function toBooked({ provider, model, price }: ChosenModel, answer: Answer): BookedUsage {
  const { inputTokens, outputTokens, cachedTokens, reasoningTokens } = answer.usage;
  return {
    provider: provider.name,
    model,
    requests: answer.requests,
    inputTokens,
    outputTokens,
    cachedTokens,
    reasoningTokens,
    costMicros: price && toCost(price, answer.usage),
    estimated: answer.estimated,
  };
}

function toCost(price: ModelPrice, { inputTokens, cachedTokens, outputTokens }: ModelUsage): number {
  const fresh = Math.max(0, inputTokens - cachedTokens);
  return Math.round(
    (fresh * price.inputMicros + cachedTokens * price.cachedMicros + outputTokens * price.outputMicros) / 1_000_000,
  );
}
