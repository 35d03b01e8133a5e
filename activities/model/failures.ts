// Decides, once, what a failed model call means: who must act on it, and when it is tried again. Temporal is the only layer
// that retries. The provider's words may quote the person or the key, so they decide here and go no further.
import { ApplicationFailure } from '@temporalio/common';

export const modelFailureTypes = [
  'ModelUnreachable',
  'ModelBusy',
  'ModelRateLimited',
  'ModelQuota',
  'ModelKeyRejected',
  'ModelNotFound',
  'ModelRequestRejected',
  'ModelContextTooLong',
  'ModelRefused',
  'ModelAnswerTooLarge',
  'ModelNotChosen',
] as const;

export type ModelFailureType = (typeof modelFailureTypes)[number];

/** What the turn's row knows of the failures in a row before this one. */
export interface Outage {
  failures: number;
  lastsMs: number;
}

/** Our own timers and the ends of a stream that nobody announced: as transient as a lost connection. */
export class ModelSilence extends Error {
  override name = 'ModelSilence';
  readonly how:
    | 'no answer in time'
    | 'silence in the stream'
    | 'stream took too long'
    | 'stream ended early'
    | 'error in the stream';
  constructor(how: ModelSilence['how']) {
    super(`The model gave ${how}`);
    this.how = how;
  }
}

/** More than the process may hold. Asking again would bring the same. */
export class ModelAnswerTooLarge extends Error {
  override name = 'ModelAnswerTooLarge';
  constructor() {
    super('The answer is larger than allowed');
  }
}

const outageLimitMs = 24 * 60 * 60 * 1000;
const longestPauseMs = 60_000;
const worthRetrying = new Set<ModelFailureType>(['ModelUnreachable', 'ModelBusy', 'ModelRateLimited']);
const busyStatuses = new Set([408, 409, 425]);

// The providers' codes and phrases for what a status alone does not tell.
const contextTooLong =
  /context_length_exceeded|exceed_context_size|context (length|size|window)|prompt is too long|input is too long|maximum (context|prompt) length|input token count|exceeded model token limit|too many (input )?tokens|reduce the length/i;
const unpaid =
  /insufficient_quota|insufficient[ _](balance|credit|fund)|exceeded your current quota|billing|credit balance|payment required|key limit exceeded|arrearage|account.{0,20}(suspended|overdue)/i;
const refused =
  /content_filter|content[ _](management )?policy|responsible_?ai|data_inspection_failed|moderation|safety system/i;
const noSuchModel =
  /model_not_found|model .{0,200}(not found|does not exist|not exist)|not a valid model|no such model|unknown model|invalid model/i;

/**
 * Turns whatever a provider rejected with into a failure that Temporal understands. Never call it for a cancellation.
 * `nextRetryDelay` follows the failures in a row, not the attempt's number: a pause counts as attempts too.
 */
export function toModelFailure(error: unknown, outage: Outage, now = Date.now()): ApplicationFailure {
  if (error instanceof ApplicationFailure) return error;
  const type = failureTypeOf(error);
  const status = statusOf(error);
  const backoffMs = Math.min(1000 * 2 ** Math.min(outage.failures, 6), longestPauseMs);
  const windowTokens = type === 'ModelContextTooLong' ? windowTokensOf(error) : undefined;
  return ApplicationFailure.create({
    message: status === undefined ? messageWithoutStatus(type) : `The model answered with status ${status}`,
    type,
    nonRetryable: !worthRetrying.has(type) || outage.lastsMs > outageLimitMs,
    nextRetryDelay: Math.min(retryAfterMsOf(error, now) ?? backoffMs, outageLimitMs),
    details: windowTokens === undefined ? undefined : [{ windowTokens }],
    cause: redactedCause(error),
  });
}

/** The kind alone, for whoever acts on it before Temporal hears of it. */
export function failureTypeOf(error: unknown): ModelFailureType {
  if (error instanceof ModelAnswerTooLarge) return 'ModelAnswerTooLarge';
  const status = statusOf(error);
  const words = wordsOf(error);
  // The commonest first: a dropped socket, a cut stream, a broken body, our own timers. None of them has a status.
  if (status === undefined) return contextTooLong.test(words) ? 'ModelContextTooLong' : 'ModelUnreachable';
  if (status === 402 || ((status === 429 || status === 403) && unpaid.test(words))) return 'ModelQuota';
  if (status === 429) return 'ModelRateLimited';
  if (status < 500 && refused.test(words)) return 'ModelRefused';
  if (status === 401 || status === 403) return 'ModelKeyRejected';
  if (status === 400 || status === 413 || status === 422) {
    if (contextTooLong.test(words)) return 'ModelContextTooLong';
    if (noSuchModel.test(words)) return 'ModelNotFound';
  }
  const shouldRetry = headerOf(error, 'x-should-retry');
  if (shouldRetry === 'true') return 'ModelBusy';
  if (shouldRetry === 'false') return 'ModelRequestRejected';
  if (status >= 500 || busyStatuses.has(status)) return 'ModelBusy';
  return status === 404 ? 'ModelNotFound' : 'ModelRequestRejected';
}

/** The window that a "context too long" names, when it names one. */
export function windowTokensOf(error: unknown): number | undefined {
  const words = wordsOf(error);
  const named =
    /(?:maximum (?:context|prompt) length (?:is|of)|context (?:size|window|length) (?:is|of|\()|limit:?|maximum of|maximum number of tokens allowed \(?|n_ctx"?:)\D{0,3}(\d[\d,_]{2,})/i.exec(
      words,
    ) ?? />\s*(\d[\d,_]{2,}) maximum/.exec(words);
  const tokens = Number(named?.[1]?.replace(/[,_]/g, ''));
  return Number.isSafeInteger(tokens) && tokens > 0 ? tokens : undefined;
}

function messageWithoutStatus(type: ModelFailureType): string {
  if (type === 'ModelAnswerTooLarge') return 'The answer of the model was too large';
  if (type === 'ModelContextTooLong') return 'The request is too long for the model';
  return 'The model could not be reached';
}

/** Undefined: no answer came. A gateway that breaks within a stream puts the status into the error's code. */
function statusOf(error: unknown): number | undefined {
  const status = field(error, 'status') ?? field(error, 'code') ?? field(field(error, 'error'), 'code');
  return typeof status === 'number' && status >= 400 && status < 600 ? status : undefined;
}

function wordsOf(error: unknown): string {
  const inner = field(error, 'error');
  return [field(error, 'code'), field(error, 'type'), field(error, 'message'), field(inner, 'type'), inner]
    .map((part) => (typeof part === 'string' ? part : typeof part === 'object' ? JSON.stringify(part) : ''))
    .join(' ')
    .slice(0, 10_000);
}

function retryAfterMsOf(error: unknown, now: number): number | undefined {
  const ms = Number.parseFloat(headerOf(error, 'retry-after-ms') ?? '');
  if (ms >= 0) return ms;
  const header = headerOf(error, 'retry-after');
  if (header === undefined) return undefined;
  const seconds = Number(header);
  const waitMs = Number.isNaN(seconds) ? Date.parse(header) - now : seconds * 1000;
  return waitMs >= 0 ? waitMs : undefined;
}

function headerOf(error: unknown, name: string): string | undefined {
  const headers = field(error, 'headers');
  const value = headers instanceof Headers ? headers.get(name) : field(headers, name);
  return typeof value === 'string' ? value : undefined;
}

/** Keeps the kinds of the error and of what caused it, and codes that look like codes. */
function redactedCause(error: unknown): Error {
  const kinds: string[] = [];
  for (let at = error, depth = 0; at !== undefined && at !== null && depth < 4; at = field(at, 'cause'), depth++) {
    const name = field(at, 'name');
    const how = at instanceof ModelSilence ? at.how : field(at, 'code');
    kinds.push([name, how].filter((word) => typeof word === 'string' && /^[\w .-]{1,64}$/.test(word)).join(': '));
  }
  return new Error(kinds.filter((kind) => kind !== '').join(' < ') || 'unknown');
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}
