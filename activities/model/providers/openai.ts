// Every endpoint that speaks the chat-completions protocol of OpenAI, in the cloud or on this machine. Always streamed.
import { createHash } from 'node:crypto';
import OpenAI from 'openai';
import type { ModelMessage, ModelProvider, ModelReply, ModelRequest } from '../model.js';
import { assembleReply, type ReasoningBlock } from './assemble.js';
import { boundedFetch } from './bounded-fetch.js';
import { type ModelTimeouts, watchSilence } from './silence-watch.js';

export interface OpenAiProviderOptions {
  /** The name under `providers` in the config. */
  name: string;
  /** Ends where `/chat/completions` is appended. */
  baseUrl: string;
  /** Without one, no Authorization header is sent. */
  apiKey?: string;
  extraHeaders?: Record<string, string>;
  /** Merged into the body, deeply, over what stands there. */
  extraBody?: Record<string, unknown>;
  extraQuery?: Record<string, string>;
  fetch?: typeof globalThis.fetch;
  timeouts?: ModelTimeouts;
}

const defaultTimeouts: ModelTimeouts = { callMs: 300_000, streamMs: 600_000, idleMs: 90_000 };
const maxAnswerBytes = 10 * 1024 * 1024;
/** The client's own clock never strikes: ours can tell silence from slowness. */
const neverMs = 2 ** 31 - 1;

/** Rejects with the client's errors, with `ModelSilence` from our own timers, or with the reason of the caller's signal. */
export function createOpenAiProvider(options: OpenAiProviderOptions): ModelProvider {
  const { name, baseUrl, apiKey, extraHeaders, extraBody = {}, timeouts = defaultTimeouts } = options;
  const client = new OpenAI({
    baseURL: baseUrl,
    apiKey: apiKey ?? 'none',
    // Said here, since the client would else take these from the environment.
    adminAPIKey: null,
    organization: null,
    project: null,
    logLevel: 'off', // it would print broken chunks, which hold a person's text
    maxRetries: 0,
    timeout: neverMs,
    defaultHeaders: { ...(apiKey === undefined ? { Authorization: null } : {}), ...extraHeaders },
    defaultQuery: options.extraQuery,
    fetch: boundedFetch(options.fetch ?? globalThis.fetch, maxAnswerBytes),
  });
  const dialect = dialectOf(baseUrl);

  async function stream(request: ModelRequest, assembly: ReturnType<typeof assembleReply>, watch: Watch) {
    const body = mergeDeep(toBody(request, dialect), extraBody) as unknown as StreamingBody;
    const { data, response } = await client.chat.completions.create(body, { signal: watch.signal }).withResponse();
    if (response.headers.get('content-type')?.includes('application/json')) {
      assembly.push(await response.json()); // a server that does not stream
    } else {
      for await (const chunk of data) {
        watch.signal.throwIfAborted(); // nothing may be shown after the rejection
        watch.heard();
        assembly.push(chunk);
      }
    }
    return assembly.reply();
  }

  return {
    name,
    async generate(request, onDelta, signal): Promise<ModelReply> {
      signal.throwIfAborted();
      const watch = watchSilence(timeouts, signal);
      try {
        const assembly = assembleReply({ onDelta, maxBytes: maxAnswerBytes });
        return await Promise.race([stream(request, assembly, watch), watch.broken]);
      } catch (error) {
        // Whatever the client made of our abort: the reason is what happened.
        throw watch.signal.aborted ? watch.signal.reason : error;
      } finally {
        watch.stop();
      }
    },
  };
}

type Watch = ReturnType<typeof watchSilence>;
type StreamingBody = OpenAI.Chat.Completions.ChatCompletionCreateParamsStreaming;

interface Dialect {
  limitField: 'max_tokens' | 'max_completion_tokens';
  toCallId(id: string): string;
}

function dialectOf(baseUrl: string): Dialect {
  const host = URL.canParse(baseUrl) ? new URL(baseUrl).hostname : '';
  return {
    // OpenAI's reasoning models refuse max_tokens, most others know nothing else.
    limitField: host === 'api.openai.com' ? 'max_completion_tokens' : 'max_tokens',
    // Mistral takes nine letters and digits and nothing else.
    toCallId: host.endsWith('mistral.ai')
      ? (id) => createHash('sha256').update(id).digest('hex').slice(0, 9)
      : (id) => id,
  };
}

/** Models that answer a chosen temperature with status 400. */
const ownTemperature = /^(?:.*\/)?(?:o\d|gpt-5|kimi-k2\.\d)/;

function toBody(request: ModelRequest, { limitField, toCallId }: Dialect): Record<string, unknown> {
  return {
    model: request.model,
    messages: [
      ...(request.system === '' ? [] : [{ role: 'system', content: request.system }]),
      ...request.messages.map((message) => toWire(message, toCallId)),
    ],
    ...(request.tools.length > 0 ? { tools: request.tools.map((tool) => ({ type: 'function', function: tool })) } : {}),
    [limitField]: request.maxTokens,
    ...(ownTemperature.test(request.model) ? {} : { temperature: request.temperature }),
    ...(request.reasoningEffort === undefined ? {} : { reasoning_effort: request.reasoningEffort }),
    stream: true,
    stream_options: { include_usage: true },
  };
}

function toWire(message: ModelMessage, toCallId: Dialect['toCallId']): Record<string, unknown> {
  switch (message.role) {
    case 'user':
      return { role: 'user', content: message.text };
    case 'tool':
      return { role: 'tool', tool_call_id: toCallId(message.callId), content: message.text };
    case 'assistant':
      return {
        role: 'assistant',
        content: message.text === '' && message.calls.length > 0 ? null : message.text,
        ...reasoningToReturn(message),
        ...(message.calls.length > 0
          ? {
              tool_calls: message.calls.map((call) => ({
                id: toCallId(call.id),
                type: 'function',
                function: { name: call.name, arguments: call.arguments },
              })),
            }
          : {}),
      };
    default:
      return message satisfies never;
  }
}

/**
 * Plain reasoning goes back with messages that hold calls: there DeepSeek and Moonshot demand it, in all later requests, and
 * elsewhere it is refused or ignored (https://api-docs.deepseek.com/guides/thinking_mode). Signed details always go back.
 */
function reasoningToReturn(message: Extract<ModelMessage, { role: 'assistant' }>): ReasoningBlock {
  if (typeof message.providerBlock !== 'object' || message.providerBlock === null) return {};
  const { reasoning_details, ...plain } = message.providerBlock as ReasoningBlock;
  return { ...(message.calls.length > 0 ? plain : {}), ...(reasoning_details ? { reasoning_details } : {}) };
}

function mergeDeep(base: Record<string, unknown>, extra: Record<string, unknown>): Record<string, unknown> {
  const merged = { ...base };
  for (const [key, value] of Object.entries(extra)) {
    const under = merged[key];
    merged[key] = isPlain(under) && isPlain(value) ? mergeDeep(under, value) : value;
  }
  return merged;
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
