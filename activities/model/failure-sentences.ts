// What a person reads when a turn closes as failed because of the model: what failed, what was kept, what to do next.
import type { ModelFailureType } from './failures.js';

export interface FailureFacts {
  /** "openai", "ollama" … */
  provider?: string;
  model?: string;
  /** Where the key comes from, "providers.openai.apiKey" or "OPENAI_API_KEY". Never the key. */
  keySetting?: string;
}

interface Names {
  provider: string;
  model: string;
  settings: string;
  key: string;
}

/** What happened, and what to do next. The three that Temporal retries end a turn only after a day of failures. */
const sentences: Record<ModelFailureType, (names: Names) => [failed: string, remedy: string]> = {
  ModelUnreachable: ({ provider, model, settings }) => [
    `${model} at ${provider} could not be reached for 24 hours`,
    `Check the network and ${settings}.apiBase with \`durabot doctor\`, then send your message again.`,
  ],
  ModelBusy: ({ provider, model }) => [
    `${model} at ${provider} was out of order for 24 hours`,
    'Send your message again later, or choose another model with /model or `durabot setup`.',
  ],
  ModelRateLimited: ({ provider }) => [
    `${provider} refused further requests for 24 hours because there were too many`,
    'Send your message again later, or choose another model with /model or `durabot setup`.',
  ],
  ModelQuota: ({ provider, key }) => [
    `The account at ${provider} is used up or unpaid`,
    `Top up the account behind ${key}, or choose another provider with \`durabot setup\`, then send your message again.`,
  ],
  ModelKeyRejected: ({ provider, key }) => [
    `${provider} rejected the key`,
    `Set ${key} with \`durabot setup\`, then send your message again.`,
  ],
  ModelNotFound: ({ provider, model, settings }) => [
    `${model} is not known at ${provider}`,
    `Check agents.defaults.model and ${settings}.apiBase, or run \`durabot setup\`, then send your message again.`,
  ],
  ModelRequestRejected: ({ provider, settings }) => [
    `${provider} rejected the request`,
    `Check agents.defaults and ${settings} with \`durabot doctor\`, or begin anew with /new, then send your message again.`,
  ],
  ModelContextTooLong: ({ provider }) => [
    `What the model would have to read no longer fits into its window at ${provider}`,
    'Begin anew with /new, send a shorter message, or choose a model with a larger window.',
  ],
  ModelRefused: ({ provider }) => [
    `${provider} refused to answer because of its content rules`,
    'Put your message in other words, or choose another model with /model.',
  ],
  ModelAnswerTooLarge: ({ model }) => [
    `${model} gave an answer of more than 10 MB, which was cut off`,
    'Ask for less at once, then send your message again.',
  ],
  ModelNotChosen: () => [
    'No configured provider can serve the model that was chosen',
    'Check agents.defaults.model, agents.defaults.provider and the keys with `durabot doctor`, or run `durabot setup`, then send your message again.',
  ],
};

/** Plain text without the provider's words. An unknown type still gives a sentence: a turn never ends in silence. */
export function sentenceFor(type: string, facts: FailureFacts = {}): string {
  const settings = `providers.${facts.provider ?? '<name>'}`;
  const words = (sentences as Partial<Record<string, (names: Names) => [string, string]>>)[type];
  const [failed, remedy] = words?.({
    provider: facts.provider ?? 'the provider',
    model: facts.model === undefined ? 'The model' : `The model ${facts.model}`,
    settings,
    key: facts.keySetting ?? `${settings}.apiKey`,
  }) ?? ['Something unexpected failed', 'Look at `durabot logs`, then send your message again.'];
  return `${failed}, so this turn ended without an answer. Your message and everything done so far are kept. ${remedy}`;
}
