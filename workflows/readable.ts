// How a run reads in the engine's UI: attributes to filter by, nothing personal.
import { defineSearchAttributeKey, type SearchAttributePair } from '@temporalio/common';

const durabotOutcome = defineSearchAttributeKey('durabotOutcome', 'KEYWORD');

export function outcomeAttribute(outcome: string): SearchAttributePair {
  return { key: durabotOutcome, value: outcome };
}
