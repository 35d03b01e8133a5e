import { ApplicationFailure } from '@temporalio/common';
import { type Chosen, chooseModel, type ModelSettings } from './choose-model.js';
import type { ChosenModel, ModelProvider } from './model.js';
import { createDemoProvider } from './providers/demo.js';
import { createOpenAiProvider } from './providers/openai.js';
import type { ModelTimeouts } from './providers/silence-watch.js';

export interface OpenModelDeps {
  settings: ModelSettings;
  timeouts: ModelTimeouts;
  fetch?: typeof globalThis.fetch;
}

/**
 * Finds and opens what serves a model or preset; `wanted` undefined takes the default. Throws a non-retryable `ModelNotChosen`
 * whose message names the setting to change. A provider is opened once and kept.
 */
export function createOpenModel({ settings, timeouts, fetch }: OpenModelDeps): (wanted?: string) => ChosenModel {
  const opened = new Map<string, ModelProvider>();

  function open({ provider: name, endpoint }: Chosen): ModelProvider {
    const known = opened.get(name);
    if (known) return known;
    const provider =
      endpoint === undefined
        ? createDemoProvider()
        : createOpenAiProvider({ name, ...endpoint, timeouts, ...(fetch ? { fetch } : {}) });
    opened.set(name, provider);
    return provider;
  }

  return (wanted) => {
    const choice = chooseModel(settings, wanted);
    if (choice.kind === 'impossible') throw ApplicationFailure.nonRetryable(choice.reason, 'ModelNotChosen');
    const { model, contextWindowTokens, maxTokens, price, rule } = choice;
    return { provider: open(choice), model, contextWindowTokens, maxTokens, price, rule };
  };
}
