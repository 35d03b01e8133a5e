// The double is judged by the client that the product uses, and the process variant by a plain request.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, expect, test } from '@jest/globals';
import OpenAI from 'openai';
import {
  asksFor,
  failsWith,
  type ModelServer,
  numberedMessages,
  type Script,
  says,
  startModelServer,
  together,
} from './model-server.js';

let server: ModelServer | undefined;
let child: ChildProcess | undefined;
afterEach(async () => {
  await server?.close();
  child?.kill('SIGTERM');
});

async function serving(script: Script): Promise<OpenAI> {
  server = await startModelServer({ script });
  return new OpenAI({ baseURL: server.baseUrl, apiKey: 'none', maxRetries: 0, logLevel: 'off' });
}

const question = { model: 'scripted', messages: [{ role: 'user' as const, content: 'Do #7 please' }] };

test('the openai client reads text and usage from its stream', async () => {
  const client = await serving([says('Milk and bread.', { usage: { prompt_tokens: 10, completion_tokens: 3 } })]);
  const chunks = [];
  const stream = await client.chat.completions.create({
    ...question,
    stream: true,
    stream_options: { include_usage: true },
  });
  for await (const chunk of stream) chunks.push(chunk);
  expect(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('')).toBe('Milk and bread.');
  expect(chunks.at(-1)?.usage).toMatchObject({ prompt_tokens: 10, total_tokens: 13 });
  expect(server?.unused()).toEqual([]);
});

test('several calls of one step arrive whole and in order', async () => {
  const client = await serving([
    together(says('Looking.'), asksFor('read_file', { path: 'a.md' }), asksFor('grep', '{"pattern":')),
  ]);
  const { choices } = await client.chat.completions.create(question);
  expect(choices[0]?.finish_reason).toBe('tool_calls');
  expect(choices[0]?.message.tool_calls).toMatchObject([
    { function: { name: 'read_file', arguments: '{"path":"a.md"}' } },
    { function: { name: 'grep', arguments: '{"pattern":' } },
  ]);
});

test('a list objects to being asked once too often', async () => {
  const client = await serving([says('Once.')]);
  await client.chat.completions.create(question);
  await expect(client.chat.completions.create(question)).rejects.toMatchObject({ status: 400 });
  expect(() => server?.unused()).toThrow('Asked 2 times');
});

test('a status comes with its code and Retry-After', async () => {
  const client = await serving([failsWith(429, { code: 'rate_limit_exceeded', retryAfter: '7' })]);
  const error: unknown = await client.chat.completions.create(question).catch((caught: unknown) => caught);
  expect(error).toMatchObject({ status: 429, code: 'rate_limit_exceeded' });
  expect((error as InstanceType<typeof OpenAI.APIError>).headers?.get('retry-after')).toBe('7');
});

test('a held answer waits for its release, and a client that hangs up is seen', async () => {
  const client = await serving([says('First.', { heldAfter: 0 }), says('Never.', { heldAfter: 1 })]);
  const first = client.chat.completions.create(question);
  await server?.waitForRequest(1);
  server?.release();
  expect((await first).choices[0]?.message.content).toBe('First.');

  const abort = new AbortController();
  const second = client.chat.completions.create({ ...question, stream: true }, { signal: abort.signal });
  await server?.waitForRequest(2);
  await second;
  abort.abort();
  expect(await server?.waitForEnd(2)).toBe('aborted');
});

test.each([
  ['cut', { cutAfter: 1 }],
  ['broken', { brokenAfter: 1 }],
])('a stream that is %s throws in the client', async (_name, manner) => {
  const client = await serving([says('One two three.', manner)]);
  const read = async () => {
    for await (const _chunk of await client.chat.completions.create({ ...question, stream: true }));
  };
  await expect(read()).rejects.toThrow();
});

test('the numbered script asks for what is missing, answers a repeated request alike, and names each number', () => {
  const script = numberedMessages({ calls: 2, tool: 'write_file' });
  const tools = [{ type: 'function', function: { name: 'write_file' } }];
  const asked = (key: string) => ({
    role: 'assistant' as const,
    tool_calls: [
      {
        id: key,
        type: 'function',
        function: { name: 'write_file', arguments: JSON.stringify({ path: `effects/${key}.txt`, content: key }) },
      },
    ],
  });
  const start = { model: 'm', tools, messages: [{ role: 'user' as const, content: 'Do #7' }] };
  expect(script(start)).toEqual(asksFor('write_file', { path: 'effects/7.1.txt', content: '7.1' }));
  expect(script(start)).toEqual(script(start));
  const all = [asked('7.1'), asked('7.2'), { role: 'user' as const, content: 'and #8' }, asked('8.1'), asked('8.2')];
  expect(script({ ...start, messages: [...start.messages, ...all] })).toEqual(says('Answered #7 #8.'));
});

test('it runs as a process and journals a request before it answers', async () => {
  const journal = join(mkdtempSync(join(tmpdir(), 'model-')), 'requests.jsonl');
  const args = ['test/support/run-typescript.mjs', 'test/support/model-server-main.ts', '--journal', journal];
  child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  const [first] = await new Promise<string[]>((resolve) => lines.once('line', (line) => resolve([line])));
  const { baseUrl } = JSON.parse(first ?? '{}') as { baseUrl: string };
  const client = new OpenAI({ baseURL: baseUrl, apiKey: 'none', maxRetries: 0 });
  const { choices } = await client.chat.completions.create(question);
  expect(choices[0]?.message.content).toBe('Answered #7.');
  expect(JSON.parse(readFileSync(journal, 'utf8').trim())).toMatchObject({ number: 1, body: question });
});
