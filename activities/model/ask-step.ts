// What a step says to the model and what comes back: which model, what it is shown, which tools it is offered, what its calls become.

import type { Rule } from '../../policy/decide.js';
import type { Store } from '../../store/index.js';
import type { TurnSettings } from '../../store/rows.js';
import type { OpenedStep, StepRecord } from '../../store/transcript.js';
import type { BookedUsage } from '../../store/usage.js';
import { toolSpec } from '../tools/arguments.js';
import { deepestTurn } from '../tools/spawn.js';
import type { Tool } from '../tools/tool.js';
import { buildContext, contextBudget } from './context.js';
import type { ChosenModel, ModelPrice, ModelRequest, ModelUsage, ToolSpec } from './model.js';
import { planCalls } from './plan-calls.js';

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
  /** Throws a sentence for the person when the settings name a model that nothing serves. */
  choose(settings: TurnSettings): ChosenModel;
  /** Equal from turn to turn while the persona's files are. */
  systemPrompt(settings: TurnSettings): Promise<string>;
}
