// The plain sentences with which durabot itself speaks to a person: what failed, what was kept, what to do next.
import { type FailureFacts, sentenceFor } from '../activities/model/failure-sentences.js';
import type { NoticeFacts } from '../store/deps.js';

export function noticeFor({ outcome, reason, waiting }: NoticeFacts, model: FailureFacts): string {
  switch (outcome) {
    case 'stopped':
      return ['Stopped. What was done so far is kept.', ...namesOf(waiting)].join(' ');
    case 'limit':
      return 'This turn reached one of its limits. What was done so far is kept. Ask me to go on.';
    case 'failed':
      return failed(reason ?? '', model);
  }
}

/** Told once, when a provider has not answered for five minutes. */
export const outageNotice =
  'The model has not answered for five minutes. I keep trying for up to 24 hours and go on by myself; /stop ends it.';

function failed(reason: string, model: FailureFacts): string {
  if (reason === 'RunEnded')
    return 'The run of this turn was ended from outside, so there is no answer. Your message and everything done so far are kept. Send it again to go on.';
  if (reason === 'ModelNotChosen')
    return 'No configured provider serves the model of this turn, so there is no answer. Your message is kept. Choose another model with --model or /model, or run `durabot setup`, then send your message again.';
  return sentenceFor(reason, model);
}

function namesOf(waiting: readonly string[]): string[] {
  if (waiting.length === 0) return [];
  const names = waiting.map((text) => `"${text.length > 80 ? `${text.slice(0, 79)}…` : text}"`);
  return [`Not answered, and kept in the history: ${names.join(', ')}.`];
}
