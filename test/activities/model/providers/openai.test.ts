import { LLMock } from '@copilotkit/aimock';
import { afterEach, expect, jest, test } from '@jest/globals';
import { toModelFailure } from '../../../../activities/model/failures.js';
import type { ModelReply, ModelRequest } from '../../../../activities/model/model.js';
import { createOpenAiProvider, type OpenAiProviderOptions } from '../../../../activities/model/providers/openai.js';
import { watchSilence } from '../../../../activities/model/providers/silence-watch.js';
import {
  asksFor,
  failsWith,
  type ModelServer,
  type Script,
  says,
  startModelServer,
  together,
} from '../../../support/model-server.js';

const request: ModelRequest = {
  model: 'scripted',
  system: 'You are durabot.',
  messages: [{ role: 'user', text: 'What is on my list?' }],
  tools: [{ name: 'read_file', description: 'Reads.', parameters: { type: 'object', properties: {} } }],
  maxTokens: 100,
  temperature: 0.1,
};
const patient = { callMs: 0, streamMs: 0, idleMs: 0 };

let server: ModelServer;
let mock: LLMock | undefined;
afterEach(async () => {
  jest.useRealTimers();
  await server?.close();
  await mock?.stop();
});

interface Asked {
  reply: ModelReply;
  deltas: string[];
}

async function ask(script: Script, options: Partial<OpenAiProviderOptions> = {}, asked = request): Promise<Asked> {
  server = await startModelServer({ script });
  return generate({ baseUrl: server.baseUrl, ...options }, asked);
}

async function generate(
  options: Partial<OpenAiProviderOptions>,
  asked = request,
  signal = new AbortController().signal,
) {
  const provider = createOpenAiProvider({ name: 'test', baseUrl: '', timeouts: patient, ...options });
  const deltas: string[] = [];
  const reply = await provider.generate(asked, (text) => deltas.push(text), signal);
  return { reply, deltas };
}

async function failureOf(asked: Promise<unknown>) {
  const outcome = await asked.then(
    () => ({ failed: false, error: undefined }),
    (error: unknown) => ({ failed: true, error }),
  );
  expect(outcome.failed).toBe(true);
  return toModelFailure(outcome.error, { failures: 0, lastsMs: 0 });
}

test('the pieces shown join to the text, and the usage is counted', async () => {
  const usage = {
    prompt_tokens: 12,
    completion_tokens: 4,
    prompt_tokens_details: { cached_tokens: 8 },
    completion_tokens_details: { reasoning_tokens: 1 },
  };
  const { reply, deltas } = await ask([says('Milk and bread.', { usage })]);
  expect(deltas.length).toBeGreaterThan(1);
  expect(deltas.join('')).toBe('Milk and bread.');
  expect(reply).toEqual({
    text: 'Milk and bread.',
    calls: [],
    finishReason: 'stop',
    usage: { inputTokens: 12, outputTokens: 4, cachedTokens: 8, reasoningTokens: 1 },
    providerBlock: undefined,
  });
});

test('calls are put together from their pieces, broken arguments as they are', async () => {
  const { reply } = await ask([together(asksFor('read_file', { path: 'a.md' }), asksFor('grep', '{"pattern": "x'))]);
  expect(reply.finishReason).toBe('tool calls');
  expect(reply.calls).toEqual([
    { id: 'call_0', name: 'read_file', arguments: '{"path":"a.md"}' },
    { id: 'call_1', name: 'grep', arguments: '{"pattern": "x' },
  ]);
});

test.each([
  ['length', 'length'],
  ['content_filter', 'refused'],
  ['function_call', 'tool calls'],
  ['malformed_function_call', 'error'],
])('the finish reason %s means %s', async (finishReason, expected) => {
  const { reply } = await ask([says('Well', { finishReason })]);
  expect(reply.finishReason).toBe(expected);
});

test('thoughts in the text never reach the screen', async () => {
  const { reply, deltas } = await ask([says(['<th', 'ink>The list', ' is short</th', 'ink>\n\nMi', 'lk.'])]);
  expect([deltas.join(''), reply.text]).toEqual(['Milk.', 'Milk.']);
});

test('reasoning goes back to the provider with calls, and only there', async () => {
  const { reply } = await ask([asksFor('read_file', {}, { reasoning: 'I must look.' })]);
  expect(reply.providerBlock).toEqual({ reasoning_content: 'I must look.' });
  await server.close();

  const calls = [{ id: 't1_s1_c1', name: 'read_file', arguments: '{}' }];
  const messages: ModelRequest['messages'] = [
    { role: 'assistant', text: '', calls, providerBlock: reply.providerBlock },
    { role: 'tool', callId: 't1_s1_c1', name: 'read_file', text: 'Milk' },
    { role: 'assistant', text: 'Milk.', calls: [], providerBlock: { reasoning_content: 'Easy.' } },
  ];
  await ask([says('Fine.')], {}, { ...request, messages });
  expect(server.requests()[0]?.body.messages).toEqual([
    { role: 'system', content: 'You are durabot.' },
    {
      role: 'assistant',
      content: null,
      reasoning_content: 'I must look.',
      tool_calls: [{ id: 't1_s1_c1', type: 'function', function: { name: 'read_file', arguments: '{}' } }],
    },
    { role: 'tool', tool_call_id: 't1_s1_c1', content: 'Milk' },
    { role: 'assistant', content: 'Milk.' },
  ]);
});

test('key, headers and body are sent as configured, and no key means no Authorization', async () => {
  const extraBody = { temperature: 1, stream_options: { extra: true } };
  await ask([says('Hi.')], { apiKey: 'k', extraHeaders: { 'x-team': 'a' }, extraBody });
  const [sent] = server.requests();
  expect(sent?.headers).toMatchObject({ authorization: 'Bearer k', 'x-team': 'a' });
  expect(sent?.body).toMatchObject({
    temperature: 1,
    max_tokens: 100,
    stream_options: { include_usage: true, extra: true },
  });
  await server.close();
  await ask([says('Hi.')]);
  expect(server.requests()[0]?.headers.authorization).toBeUndefined();
});

test('no tools means that none are mentioned', async () => {
  await ask([says('Hi.')], {}, { ...request, tools: [] });
  expect(server.requests()[0]?.body).not.toHaveProperty('tools');
});

test('a server that does not stream is understood too', async () => {
  const completion = {
    choices: [{ message: { content: 'Milk.' }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 1 },
  };
  const fetch = async () => Response.json(completion);
  const { reply, deltas } = await generate({ baseUrl: 'http://127.0.0.1:1/v1', fetch });
  expect([reply.text, deltas, reply.usage?.inputTokens]).toEqual(['Milk.', ['Milk.'], 1]);
});

test('pieces of calls without index, and one index for two calls, are told apart by id', async () => {
  const call = (piece: object) => ({ choices: [{ delta: { tool_calls: [piece] } }] });
  const body = [
    call({ id: 'a', function: { name: 'one', arguments: '{' } }),
    call({ function: { arguments: '}' } }),
    call({ index: 0, id: 'b', function: { name: 'two', arguments: { x: 1 } } }),
    call({ index: 0, id: 'c', function: { name: 'three', arguments: '' } }),
    { choices: [{ delta: {}, finish_reason: 'tool_calls' }] },
  ];
  const sse = body.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join('');
  const fetch = async () => new Response(sse, { headers: { 'content-type': 'text/event-stream' } });
  const { reply } = await generate({ baseUrl: 'http://127.0.0.1:1/v1', fetch });
  expect(reply.calls.map((made) => [made.id, made.name, made.arguments])).toEqual([
    ['a', 'one', '{}'],
    ['b', 'two', '{"x":1}'],
    ['c', 'three', ''],
  ]);
});

test.each([
  ['silence before the answer', { callMs: 1_000 }, { heldAfter: 0 }],
  ['silence within the stream', { idleMs: 1_000 }, { stalledAfter: 1 }],
  ['a stream without end', { streamMs: 1_000 }, { stalledAfter: 1 }],
])('%s is given up and worth another try', async (_name, timeouts, manner) => {
  const failure = await failureOf(ask([says('Milk and bread.', manner)], { timeouts: { ...patient, ...timeouts } }));
  expect([failure.type, failure.nonRetryable]).toEqual(['ModelUnreachable', false]);
  expect(failure.cause?.message).toMatch(/ModelSilence/);
  expect(await server.waitForEnd(1)).toBe('aborted');
});

test.each([
  ['a stream that was cut', { cutAfter: 1 }],
  ['a stream that was cut before its reason', { cutAfter: 3 }],
  ['a broken chunk', { brokenAfter: 1 }],
])('%s is worth another try', async (_name, manner) => {
  const failure = await failureOf(ask([says('Milk and bread.', manner)]));
  expect([failure.type, failure.nonRetryable]).toEqual(['ModelUnreachable', false]);
});

test('a stream that ends without a reason is not taken for an answer', async () => {
  const fetch = async () =>
    new Response('data: {"choices":[{"delta":{"content":"Mi"}}]}\n\n', {
      headers: { 'content-type': 'text/event-stream' },
    });
  const failure = await failureOf(generate({ baseUrl: 'http://127.0.0.1:1/v1', fetch }));
  expect(failure.cause?.message).toBe('ModelSilence: stream ended early');
});

test('an answer above 10 MB is cut off as an error', async () => {
  const failure = await failureOf(ask([says(Array.from({ length: 11 }, () => 'x'.repeat(1024 * 1024)))]));
  expect([failure.type, failure.nonRetryable]).toEqual(['ModelAnswerTooLarge', true]);
  await server.close();
  const oneLine = await failureOf(ask([says(['x'.repeat(3 * 1024 * 1024)])]));
  expect(oneLine.type).toBe('ModelAnswerTooLarge');
});

test('a stop rejects at once with its reason, and nothing is shown after it', async () => {
  server = await startModelServer({ script: [says('Milk and bread.', { heldAfter: 1 })] });
  const stop = new AbortController();
  const deltas: string[] = [];
  const provider = createOpenAiProvider({ name: 'test', baseUrl: server.baseUrl, timeouts: patient });
  const asked = provider.generate(
    request,
    (text) => {
      deltas.push(text);
      stop.abort(new Error('stopped by a person'));
    },
    stop.signal,
  );
  await expect(asked).rejects.toThrow('stopped by a person');
  expect(await server.waitForEnd(1)).toBe('aborted');
  expect(deltas).toEqual(['Milk ']);
});

test('nothing is shown after a stop, even when it has arrived', async () => {
  const chunk = (content: string) => `data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`;
  const headers = { 'content-type': 'text/event-stream' };
  const fetch = async () => new Response(['Milk ', 'and ', 'bread.'].map(chunk).join(''), { headers });
  const stop = new AbortController();
  const deltas: string[] = [];
  const provider = createOpenAiProvider({ name: 'test', baseUrl: 'http://127.0.0.1:1/v1', fetch, timeouts: patient });
  const onDelta = (text: string) => {
    deltas.push(text);
    stop.abort(new Error('stopped by a person'));
  };
  await expect(provider.generate(request, onDelta, stop.signal)).rejects.toThrow('stopped by a person');
  await new Promise((resolve) => setImmediate(resolve));
  expect(deltas).toEqual(['Milk ']);
});

test('a stream may last as long as it never falls silent', () => {
  jest.useFakeTimers();
  const watch = watchSilence({ callMs: 100, streamMs: 1000, idleMs: 100 }, new AbortController().signal);
  for (let i = 0; i < 8; i++) {
    watch.heard();
    jest.advanceTimersByTime(90);
    expect(watch.signal.aborted).toBe(false);
  }
  jest.advanceTimersByTime(20);
  expect(watch.signal.reason).toMatchObject({ how: 'silence in the stream' });
  watch.stop();
});

test('one request is one request: nothing is retried here', async () => {
  const failure = await failureOf(ask([failsWith(503, { retryAfter: '7' })]));
  expect([failure.type, failure.nextRetryDelay]).toEqual(['ModelBusy', 7000]);
  expect(server.requests()).toHaveLength(1);
});

// An independent double: it was written by others, to the same public protocol.
test.each<[string, (double: LLMock) => void, string, boolean]>([
  ['429', (double) => double.nextRequestError(429, { code: 'rate_limit_exceeded' }), 'ModelRateLimited', false],
  ['429 without quota', (double) => double.nextRequestError(429, { code: 'insufficient_quota' }), 'ModelQuota', true],
  ['500', (double) => double.nextRequestError(500), 'ModelBusy', false],
  [
    'a cut stream',
    (double) => double.onMessage(/./, { content: 'Milk and bread.' }, { chunkSize: 2, truncateAfterChunks: 2 }),
    'ModelUnreachable',
    false,
  ],
  [
    'a dropped socket',
    (double) => double.onMessage(/./, { content: 'Milk' }, { chaos: { disconnectRate: 1 } }),
    'ModelUnreachable',
    false,
  ],
  [
    'a stall',
    (double) => double.onMessage(/./, { content: 'Milk and bread.' }, { chunkSize: 20, latency: 100 }),
    'ModelUnreachable',
    false,
  ],
])('the other double agrees on %s', async (_name, prepare, type, nonRetryable) => {
  mock = new LLMock({ port: 0 });
  prepare(mock);
  await mock.start();
  const failure = await failureOf(
    generate({ baseUrl: `${mock.url}/v1`, timeouts: { callMs: 50, streamMs: 0, idleMs: 0 } }),
  );
  expect([failure.type, failure.nonRetryable]).toEqual([type, nonRetryable]);
});

test('the other double agrees on text, calls and usage', async () => {
  mock = new LLMock({ port: 0 });
  mock.onMessage(/list/, { content: 'Looking.', toolCalls: [{ name: 'read_file', arguments: '{"path":"a.md"}' }] });
  await mock.start();
  const { reply, deltas } = await generate({ baseUrl: `${mock.url}/v1` });
  expect([reply.text, deltas.join(''), reply.finishReason]).toEqual(['Looking.', 'Looking.', 'tool calls']);
  expect(reply.calls).toMatchObject([{ name: 'read_file', arguments: '{"path":"a.md"}' }]);
  expect(reply.usage?.inputTokens).toBeGreaterThan(0);
});
