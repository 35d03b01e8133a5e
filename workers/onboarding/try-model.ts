// Whether a model answers, by asking it once; and if it does not, which of the person's answers is wrong.
import { failureTypeOf } from '../../activities/model/failures.js';
import { listModels } from '../../activities/model/list-models.js';
import { createOpenAiProvider } from '../../activities/model/providers/openai.js';
import { byDistance } from '../settings/nearest.js';

export interface Trial {
  provider: string;
  baseUrl: string;
  apiKey: string | undefined;
  model: string;
}

/** `wrong`: what is to be entered anew. `sentence` is for the person and holds no key. */
export type Verdict =
  | { works: true; answer: string; tookMs: number }
  | { works: false; wrong: 'key' | 'address' | 'model' | 'account'; sentence: string };

const timeouts = { callMs: 60_000, streamMs: 120_000, idleMs: 60_000 };
const listWithinMs = 10_000;

export async function tryModel(
  { provider: name, baseUrl, apiKey, model }: Trial,
  signal: AbortSignal,
): Promise<Verdict> {
  const provider = createOpenAiProvider({ name, baseUrl, apiKey, timeouts });
  const began = performance.now();
  try {
    const { text } = await provider.generate(
      {
        model,
        system: 'You are being set up.',
        messages: [{ role: 'user', text: 'Answer with the one word: ready' }],
        tools: [],
        maxTokens: 1_000, // reasoning models think before they say the word
        temperature: 0,
      },
      () => {},
      signal,
    );
    return { works: true, answer: text.trim().slice(0, 80), tookMs: Math.round(performance.now() - began) };
  } catch (error) {
    if (signal.aborted) throw error;
    return explain({ provider: name, baseUrl, apiKey, model }, error, signal);
  }
}

async function explain(trial: Trial, error: unknown, signal: AbortSignal): Promise<Verdict> {
  const { provider, baseUrl, apiKey, model } = trial;
  switch (failureTypeOf(error)) {
    case 'ModelKeyRejected':
      return wrong(
        'key',
        `${provider} refused ${apiKey === undefined ? 'to answer without a key' : 'the key'}. Check that it is whole, still valid, and a key of ${provider}.`,
      );
    case 'ModelQuota':
      return wrong('account', `${provider} took the key, but its account is used up or unpaid. Top it up there.`);
    case 'ModelRateLimited':
      return wrong('account', `${provider} took the key, but refuses more requests for now. Try again in a minute.`);
    case 'ModelNotFound': {
      const known = await namesOf(trial, signal);
      if (!known) return wrong('address', noEndpoint(baseUrl));
      const near = byDistance(model, known).slice(0, 3);
      return wrong(
        'model',
        `${provider} does not know the model ${model}.${near.length > 0 ? ` The nearest are: ${near.join(', ')}.` : ''}`,
      );
    }
    case 'ModelUnreachable':
      return wrong(
        'address',
        `Nothing that speaks OpenAI's protocol answers at ${baseUrl}${causeOf(error)}. Check the address, and that the server runs.`,
      );
    case 'ModelBusy':
      return wrong(
        'address',
        `${baseUrl} answers, but with an error of its own${statusOf(error)}. Try again later, or check the address.`,
      );
    default:
      return wrong('model', `${provider} refused the request to ${model}${statusOf(error)}. Choose another model.`);
  }
}

function noEndpoint(baseUrl: string): string {
  return `There is a server at ${baseUrl}, but it knows no /chat/completions there. The address ends where that is appended, mostly in /v1.`;
}

/** Undefined when the endpoint has no list of models: then it is most likely none. */
function namesOf({ baseUrl, apiKey }: Trial, signal: AbortSignal): Promise<string[] | undefined> {
  const within = AbortSignal.any([signal, AbortSignal.timeout(listWithinMs)]);
  return listModels({ baseUrl, apiKey, signal: within }).catch(() => undefined);
}

function wrong(what: 'key' | 'address' | 'model' | 'account', sentence: string): Verdict {
  return { works: false, wrong: what, sentence };
}

function statusOf(error: unknown): string {
  const status = typeof error === 'object' && error !== null && 'status' in error ? error.status : undefined;
  return typeof status === 'number' ? ` (status ${status})` : '';
}

/** " (ECONNREFUSED)": the innermost code that a failed connection has. */
function causeOf(error: unknown): string {
  let cause: unknown = error;
  let code: string | undefined;
  for (let depth = 0; depth < 5 && typeof cause === 'object' && cause !== null; depth++) {
    if ('code' in cause && typeof cause.code === 'string') code = cause.code;
    cause = 'cause' in cause ? cause.cause : undefined;
  }
  return code === undefined ? '' : ` (${code})`;
}
