// An OpenAI-compatible chat-completions endpoint on loopback that says what a script tells it. It knows nothing of
// durabot, so it also serves as the oracle of kill tests, run as a process of its own by model-server-main.ts.
import { closeSync, openSync, writeSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Answer, ChatRequest, Script } from './model-script.js';

export * from './model-script.js';

export interface RecordedRequest {
  /** Counted from 1, in the order of arrival. */
  number: number;
  /** Of the monotonic clock, in ms. */
  at: number;
  wall: string;
  body: ChatRequest;
  headers: IncomingMessage['headers'];
  /** `aborted`: the client hung up first. Undefined while it is being answered. */
  ended?: 'answered' | 'aborted' | 'cut';
}

export interface ModelServer {
  /** Ends in `/v1`, as clients want it. */
  baseUrl: string;
  requests(): readonly RecordedRequest[];
  /** Resolves once that many requests have come, with the last of them. */
  waitForRequest(number: number): Promise<RecordedRequest>;
  /** Resolves once request `number` has ended, and says how. */
  waitForEnd(number: number): Promise<'answered' | 'aborted' | 'cut'>;
  /** Lets one held answer go on; called early, it is remembered. */
  release(): void;
  /** The answers of a list that nobody asked for. Throws when the list was asked once too often. */
  unused(): readonly Answer[];
  close(): Promise<void>;
}

export interface ModelServerOptions {
  script: Script;
  /** Each request becomes a line of JSON here, written before it is answered. No headers: they hold the key. */
  journal?: string;
  /** 0, the default, takes a free one. */
  port?: number;
}

const notScripted: Answer = {
  kind: 'status',
  status: 400,
  headers: {},
  body: { error: { message: 'the script has no further answer', type: 'scripted', param: null, code: 'unscripted' } },
};

export async function startModelServer({ script, journal, port = 0 }: ModelServerOptions): Promise<ModelServer> {
  const requests: RecordedRequest[] = [];
  const watchers = new Set<() => void>();
  const held: (() => void)[] = [];
  let released = 0;
  let answered = 0;
  const file = journal === undefined ? undefined : openSync(journal, 'a');

  const changed = () => {
    for (const look of [...watchers]) look();
  };
  const nextAnswer = (body: ChatRequest): Answer => {
    if (typeof script === 'function') return script(body);
    answered += 1;
    return script[answered - 1] ?? notScripted;
  };
  const permit = async () => {
    if (released > 0) released -= 1;
    else await new Promise<void>((resolve) => held.push(resolve));
  };

  const server = createServer((request, response) => {
    serve(request, response).catch((error: unknown) => {
      response.destroy(error instanceof Error ? error : undefined);
    });
  });

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method === 'POST' && request.url === '/release') {
      release();
      response.writeHead(204).end();
      return;
    }
    if (request.method === 'GET' && request.url === '/v1/models') {
      sendJson(response, 200, { object: 'list', data: [{ id: 'scripted', object: 'model' }] });
      return;
    }
    if (request.method !== 'POST' || request.url?.split('?')[0] !== '/v1/chat/completions') {
      sendJson(response, 404, { error: { message: 'no such route', type: 'scripted', param: null, code: null } });
      return;
    }
    const body = JSON.parse(await textOf(request)) as ChatRequest;
    const record: RecordedRequest = {
      number: requests.length + 1,
      at: performance.now(),
      wall: new Date().toISOString(),
      body,
      headers: request.headers,
    };
    requests.push(record);
    // Written to the kernel at once: what this process has told nobody yet is in the file already.
    if (file !== undefined) writeSync(file, `${JSON.stringify({ ...record, headers: undefined })}\n`);
    response.on('close', () => {
      record.ended ??= response.writableFinished ? 'answered' : 'aborted';
      changed();
    });
    changed();
    await give(nextAnswer(body), { record, response, permit });
  }

  function release(): void {
    const waiting = held.shift();
    if (waiting) waiting();
    else released += 1;
  }

  function when<T>(look: () => T | undefined): Promise<T> {
    return new Promise((resolve) => {
      const watch = () => {
        const found = look();
        if (found === undefined) return;
        watchers.delete(watch);
        resolve(found);
      };
      watchers.add(watch);
      watch();
    });
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });

  return {
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    requests: () => requests,
    waitForRequest: (number) => when(() => requests[number - 1]),
    waitForEnd: (number) => when(() => requests[number - 1]?.ended),
    release,
    unused() {
      if (typeof script === 'function') return [];
      if (answered > script.length) throw new Error(`Asked ${answered} times, ${script.length} answers were scripted`);
      return script.slice(answered);
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      if (file !== undefined) closeSync(file);
    },
  };
}

interface Exchange {
  record: RecordedRequest;
  response: ServerResponse;
  permit(): Promise<void>;
}

async function give(answer: Answer, { record, response, permit }: Exchange): Promise<void> {
  if (answer.kind === 'status') return sendJson(response, answer.status, answer.body, answer.headers);
  const { manner } = answer;
  const streamed = record.body.stream === true;
  const chunks = streamed ? chunksOf(answer, record) : [completionOf(answer, record)];
  for (let sent = 0; sent <= chunks.length; sent++) {
    if (sent === manner.heldAfter) await permit();
    if (sent === manner.stalledAfter) return;
    if (sent === manner.cutAfter) {
      record.ended = 'cut';
      response.destroy();
      return;
    }
    if (sent === manner.brokenAfter) response.write(streamed ? 'data: {"id":"x","choi\n\n' : '{"id":"x","choi');
    const chunk = chunks[sent];
    if (chunk === undefined || response.destroyed) break;
    if (!response.headersSent) {
      response.writeHead(200, { 'content-type': streamed ? 'text/event-stream' : 'application/json' });
    }
    if (manner.chunkDelayMs !== undefined) await delay(manner.chunkDelayMs);
    response.write(streamed ? `data: ${JSON.stringify(chunk)}\n\n` : JSON.stringify(chunk));
  }
  response.end(streamed ? 'data: [DONE]\n\n' : undefined);
}

type Reply = Extract<Answer, { kind: 'reply' }>;

function chunksOf({ pieces, calls, manner }: Reply, record: RecordedRequest): unknown[] {
  const chunk = (delta: unknown, finish: string | null = null) => ({
    ...envelope(record, 'chat.completion.chunk'),
    choices: [{ index: 0, delta, finish_reason: finish }],
  });
  const deltas = [
    ...(manner.reasoning ? [{ reasoning_content: manner.reasoning }] : []),
    ...pieces.map((content) => ({ content })),
    ...calls.flatMap((call, index) => {
      const half = Math.ceil(call.arguments.length / 2);
      const head = { index, id: callId(index), type: 'function' };
      return [
        { tool_calls: [{ ...head, function: { name: call.name, arguments: '' } }] },
        { tool_calls: [{ index, function: { arguments: call.arguments.slice(0, half) } }] },
        { tool_calls: [{ index, function: { arguments: call.arguments.slice(half) } }] },
      ];
    }),
  ];
  const usage = usageOf({ kind: 'reply', pieces, calls, manner }, record);
  const withUsage = record.body.stream_options?.include_usage === true && usage !== null;
  return [
    ...deltas.map((delta, i) => chunk(i === 0 ? { role: 'assistant', ...delta } : delta)),
    chunk({}, finishReasonOf({ kind: 'reply', pieces, calls, manner })),
    ...(withUsage ? [{ ...envelope(record, 'chat.completion.chunk'), choices: [], usage }] : []),
  ];
}

function completionOf(reply: Reply, record: RecordedRequest): unknown {
  const calls = reply.calls.map((call, index) => ({ id: callId(index), type: 'function', function: call }));
  const message = {
    role: 'assistant',
    content: reply.pieces.join('') || null,
    ...(reply.manner.reasoning ? { reasoning_content: reply.manner.reasoning } : {}),
    ...(calls.length > 0 ? { tool_calls: calls } : {}),
  };
  const usage = usageOf(reply, record) ?? undefined;
  const choices = [{ index: 0, message, finish_reason: finishReasonOf(reply) }];
  return { ...envelope(record, 'chat.completion'), choices, usage };
}

function envelope(record: RecordedRequest, object: string) {
  return { id: `chatcmpl-${record.number}`, object, created: 0, model: record.body.model };
}

// Providers repeat their ids from request to request, so this one does too: whoever keys by them fails here.
function callId(index: number): string {
  return `call_${index}`;
}

function finishReasonOf({ calls, manner }: Reply): string {
  return manner.finishReason ?? (calls.length > 0 ? 'tool_calls' : 'stop');
}

function usageOf({ pieces, calls, manner }: Reply, record: RecordedRequest) {
  if (manner.usage === null) return null;
  const counted = {
    prompt_tokens: Math.ceil(JSON.stringify(record.body.messages).length / 4),
    completion_tokens: Math.ceil((pieces.join('').length + JSON.stringify(calls).length) / 4),
  };
  const usage = manner.usage ?? counted;
  return { total_tokens: usage.prompt_tokens + usage.completion_tokens, ...usage };
}

async function textOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString('utf8');
}

function sendJson(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}
