import { expect, test } from '@jest/globals';
import { ApplicationFailure } from '@temporalio/common';
import OpenAI from 'openai';
import { sentenceFor } from '../../../activities/model/failure-sentences.js';
import {
  ModelAnswerTooLarge,
  ModelSilence,
  modelFailureTypes,
  toModelFailure,
  windowTokensOf,
} from '../../../activities/model/failures.js';

const first = { failures: 0, lastsMs: 0 };
const dayMs = 24 * 60 * 60 * 1000;

function answered(status: number, error: Record<string, unknown> = {}, headers: Record<string, string> = {}): unknown {
  return OpenAI.APIError.generate(status, { error }, undefined, new Headers(headers));
}

const dropped = new OpenAI.APIConnectionError({
  cause: Object.assign(new TypeError('fetch failed'), { code: 'ECONNRESET' }),
});

test.each<[string, unknown, string, 'again' | 'never']>([
  ['a dropped socket', dropped, 'ModelUnreachable', 'again'],
  ['a cut stream', new TypeError('terminated'), 'ModelUnreachable', 'again'],
  ['a broken body', new SyntaxError('Unexpected end of JSON input'), 'ModelUnreachable', 'again'],
  ['our own timer', new ModelSilence('silence in the stream'), 'ModelUnreachable', 'again'],
  ['something that is no error', 'gone', 'ModelUnreachable', 'again'],
  [
    'a gateway that breaks in mid-stream',
    new OpenAI.APIError(undefined, { code: 502, message: 'upstream' }, undefined, new Headers()),
    'ModelBusy',
    'again',
  ],
  ['408', answered(408), 'ModelBusy', 'again'],
  ['409', answered(409), 'ModelBusy', 'again'],
  ['425', answered(425), 'ModelBusy', 'again'],
  ['500', answered(500), 'ModelBusy', 'again'],
  ['529', answered(529), 'ModelBusy', 'again'],
  ['400 with x-should-retry', answered(400, {}, { 'x-should-retry': 'true' }), 'ModelBusy', 'again'],
  ['500 with x-should-retry: false', answered(500, {}, { 'x-should-retry': 'false' }), 'ModelRequestRejected', 'never'],
  ['429', answered(429, { code: 'rate_limit_exceeded' }), 'ModelRateLimited', 'again'],
  ['429 without quota', answered(429, { code: 'insufficient_quota' }), 'ModelQuota', 'never'],
  ['402', answered(402, { message: 'Insufficient Balance' }), 'ModelQuota', 'never'],
  ['401', answered(401, { code: 'invalid_api_key' }), 'ModelKeyRejected', 'never'],
  ['403', answered(403), 'ModelKeyRejected', 'never'],
  ['403 by moderation', answered(403, { message: 'flagged by moderation' }), 'ModelRefused', 'never'],
  ['400', answered(400, { message: "Unknown parameter: 'tools[0].x'" }), 'ModelRequestRejected', 'never'],
  ['404', answered(404, { message: 'no route' }), 'ModelNotFound', 'never'],
  ['400 for a model', answered(400, { message: 'gpt-99 is not a valid model ID' }), 'ModelNotFound', 'never'],
  ['400 too long', answered(400, { code: 'context_length_exceeded' }), 'ModelContextTooLong', 'never'],
  ['400 by content', answered(400, { code: 'content_filter' }), 'ModelRefused', 'never'],
  ['an answer without end', new ModelAnswerTooLarge(), 'ModelAnswerTooLarge', 'never'],
])('%s', (_name, error, type, worth) => {
  const failure = toModelFailure(error, first);
  expect([failure.type, failure.nonRetryable ? 'never' : 'again']).toEqual([type, worth]);
});

test('tries are 1, 2, 4 seconds apart, and at most 60', () => {
  const delays = [0, 1, 2, 6, 400].map((failures) => toModelFailure(dropped, { failures, lastsMs: 0 }).nextRetryDelay);
  expect(delays).toEqual([1000, 2000, 4000, 60_000, 60_000]);
});

test('Retry-After wins, as seconds, as a date and in milliseconds', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  const delay = (headers: Record<string, string>) =>
    toModelFailure(answered(429, {}, headers), first, now).nextRetryDelay;
  expect(delay({ 'retry-after': '90' })).toBe(90_000);
  expect(delay({ 'retry-after': 'Thu, 01 Jan 2026 00:02:00 GMT' })).toBe(120_000);
  expect(delay({ 'retry-after-ms': '250', 'retry-after': '90' })).toBe(250);
  expect(delay({ 'retry-after': 'soon' })).toBe(1000);
});

test('an outage of more than a day is given up', () => {
  expect(toModelFailure(dropped, { failures: 1500, lastsMs: dayMs }).nonRetryable).toBe(false);
  expect(toModelFailure(dropped, { failures: 1500, lastsMs: dayMs + 1 }).nonRetryable).toBe(true);
});

test('the words of the provider stay out of the failure', () => {
  const error = answered(401, { message: 'Incorrect API key sk-secret for my dear diary', code: 'invalid_api_key' });
  const failure = toModelFailure(error, first);
  const seen = JSON.stringify([failure.message, failure.cause?.message, failure.cause?.stack, failure.details]);
  expect(seen).not.toMatch(/sk-secret|diary/);
  expect(failure.message).toBe('The model answered with status 401');
  expect(toModelFailure(dropped, first).cause?.message).toContain('ECONNRESET');
});

test('a failure that was classified already stays what it is', () => {
  const classified = ApplicationFailure.nonRetryable('x', 'ModelQuota');
  expect(toModelFailure(classified, first)).toBe(classified);
});

test.each([
  ["This model's maximum context length is 8192 tokens. However, you requested 9000 tokens", 8192],
  ['prompt is too long: 210000 tokens > 200000 maximum', 200_000],
  ['The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).', 1_048_576],
  ['the request exceeds the available context size', undefined],
])('the window is learnt from: %s', (message, window) => {
  const error = answered(400, { message, code: 'context_length_exceeded' });
  expect(windowTokensOf(error)).toBe(window);
  expect(toModelFailure(error, first).details ?? []).toEqual(window === undefined ? [] : [{ windowTokens: window }]);
});

test('each type has a sentence with what failed, what was kept and what to do', () => {
  const sentences = modelFailureTypes.map((type) => sentenceFor(type, { provider: 'groq', model: 'llama-3' }));
  for (const sentence of sentences) expect(sentence).toMatch(/ended without an answer.* are kept\. .*[.]$/);
  expect(new Set(sentences).size).toBe(modelFailureTypes.length);
  expect(sentenceFor('ModelKeyRejected', { provider: 'groq' })).toContain('providers.groq.apiKey with `durabot setup`');
  expect(sentenceFor('SomethingNew')).toContain('durabot logs');
});
