// What a scripted model says. A script is a list, used up in order, or a pure function of the request: that one answers
// a repeated request alike, so that any difference after a crash is ours.

/** The body of a chat-completions request, as far as scripts and tests look at it. */
export interface ChatRequest {
  model: string;
  messages: ChatMessage[];
  tools?: { type: string; function: { name: string; description?: string; parameters?: unknown } }[];
  stream?: boolean;
  stream_options?: { include_usage?: boolean };
  [other: string]: unknown;
}

export interface ChatMessage {
  role: 'system' | 'user' | 'assistant' | 'tool';
  content?: string | null;
  tool_calls?: { id: string; type: string; function: { name: string; arguments: string } }[];
  tool_call_id?: string;
  [other: string]: unknown;
}

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens?: number;
  prompt_tokens_details?: { cached_tokens?: number };
  completion_tokens_details?: { reasoning_tokens?: number };
}

/** How an answer is given. Chunks are counted from the first piece of text, reasoning or call; 0 is before the first byte. */
export interface Manner {
  /** `length`, `content_filter` …; by default `tool_calls` or `stop`. */
  finishReason?: string;
  /** Null: the server reports none, as some do. */
  usage?: Usage | null;
  /** Sent as `reasoning_content` before the text. */
  reasoning?: string;
  chunkDelayMs?: number;
  /** Waits here for one `release()`. */
  heldAfter?: number;
  /** The socket is destroyed here. */
  cutAfter?: number;
  /** Nothing more comes from here on, and the socket stays open. */
  stalledAfter?: number;
  /** A chunk of broken JSON comes here. */
  brokenAfter?: number;
}

export interface ScriptedCall {
  name: string;
  /** JSON as the model wrote it. A script may break it on purpose. */
  arguments: string;
}

export type Answer =
  | { kind: 'reply'; pieces: string[]; calls: ScriptedCall[]; manner: Manner }
  | { kind: 'status'; status: number; headers: Record<string, string>; body: unknown };

export type Script = readonly Answer[] | ((request: ChatRequest) => Answer);

/** An answer in text. An array says where the chunks begin; a string is cut into words. */
export function says(text: string | string[], manner: Manner = {}): Answer {
  const pieces = typeof text === 'string' ? (text.match(/\S+\s*|\s+/g) ?? []) : text;
  return { kind: 'reply', pieces, calls: [], manner };
}

/** One tool call. A string is sent as the arguments just as it is. */
export function asksFor(name: string, args: unknown, manner: Manner = {}): Answer {
  const call = { name, arguments: typeof args === 'string' ? args : JSON.stringify(args) };
  return { kind: 'reply', pieces: [], calls: [call], manner };
}

/** Several replies as one: the texts joined, all calls in one step. The manner is the last one's. */
export function together(...answers: Answer[]): Answer {
  const replies = answers.map((answer) => {
    if (answer.kind !== 'reply') throw new Error('Only replies can be given together');
    return answer;
  });
  return {
    kind: 'reply',
    pieces: replies.flatMap((reply) => reply.pieces),
    calls: replies.flatMap((reply) => reply.calls),
    manner: replies.at(-1)?.manner ?? {},
  };
}

/** An error of the provider. `retryAfter` is the header as sent: seconds or a date. */
export function failsWith(
  status: number,
  options: { code?: string; message?: string; retryAfter?: string; headers?: Record<string, string> } = {},
): Answer {
  const { code = null, message = `scripted failure ${status}`, retryAfter, headers = {} } = options;
  return {
    kind: 'status',
    status,
    headers: retryAfter === undefined ? headers : { ...headers, 'retry-after': retryAfter },
    body: { error: { message, type: 'scripted', param: null, code } },
  };
}

export interface NumberedOptions {
  /** Calls that each message asks for. */
  calls: number;
  tool: string;
  /** All calls of a message in one step, instead of one a step. */
  parallel?: boolean;
  manner?: Manner;
}

/**
 * The script of kill tests, pure: a person's text that contains `#7` asks for the calls 7.1 to 7.k, and the answer names
 * every number of the turn once: "Answered #7 #8." What has been asked for already is read from the request.
 */
export function numberedMessages({ calls, tool, parallel = false, manner = {} }: NumberedOptions) {
  return (request: ChatRequest): Answer => {
    const turn = messagesOfTurn(request.messages);
    const asked = new Set(turn.flatMap((message) => message.tool_calls ?? []).map((call) => call.function.arguments));
    const numbers = [
      ...new Set(
        turn.flatMap((message) => (message.role === 'user' ? (message.content?.match(/(?<=#)\d+/g) ?? []) : [])),
      ),
    ];
    const open = numbers
      .flatMap((number) => Array.from({ length: calls }, (_, i) => `${number}.${i + 1}`))
      .map((key) => JSON.stringify(effectArguments(tool, key)))
      .filter((args) => !asked.has(args));
    const [next] = open;
    if (next === undefined || !request.tools?.length) {
      return says(`Answered ${numbers.map((number) => `#${number}`).join(' ')}.`, manner);
    }
    return together(...(parallel ? open : [next]).map((args) => asksFor(tool, args, manner)));
  };
}

/** What followed the last answer without calls. */
function messagesOfTurn(messages: readonly ChatMessage[]): ChatMessage[] {
  const last = messages.findLastIndex((message) => message.role === 'assistant' && !message.tool_calls?.length);
  return messages.slice(last + 1);
}

/** Arguments that leave a countable trace under `key`: a line or a file in the workspace. */
function effectArguments(tool: string, key: string): unknown {
  if (tool === 'exec') return { command: `echo ${key} >> effects.txt` };
  if (tool === 'write_file') return { path: `effects/${key}.txt`, content: key };
  if (tool === 'read_file') return { path: `effects/${key}.txt` };
  return { key };
}
