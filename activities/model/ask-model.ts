// One logical answer of the model, which may take several requests: a cut answer is continued, an empty one asked for again.
// Failures of the wire are none of its business: they leave as they came and Temporal tries the whole answer again.

import { sentenceFor } from './failure-sentences.js';
import { failureTypeOf, ModelSilence } from './failures.js';
import { judgeReply, type SoFar } from './judge-reply.js';
import { noteText } from './markers.js';
import type {
  FinishReason,
  ModelCall,
  ModelMessage,
  ModelProvider,
  ModelReply,
  ModelRequest,
  ModelUsage,
} from './model.js';
import { createSeam } from './seam.js';
import { estimateTokens } from './tokens.js';

export interface AskModelOptions {
  signal: AbortSignal;
  /** Visible text as it comes; what it joins to is the answer's text. */
  onText(text: string): void;
  /** What the request was estimated to count, for providers that report no usage. */
  inputTokens?: number;
}

export interface Answer {
  text: string;
  /** To be carried out: well-formed names, complete arguments. Whether such tools exist is for the caller. */
  calls: ModelCall[];
  finishReason: FinishReason;
  providerBlock?: unknown;
  /** Of all requests together. */
  usage: ModelUsage;
  /** A provider reported none: then it is our own count. */
  estimated: boolean;
  requests: number;
}

const nothingSaid =
  'The model gave an empty answer each time it was asked, so there is nothing to show. What was done so far is kept. Send your message again, or choose another model with /model.';
const cutOffNotice = '\n\n[The answer was cut off here: it reached the length limit again and again.]';
const goOn =
  'Your answer was cut off at the length limit. Go on exactly where it stops. Repeat nothing and add no remark.';
const callAgain =
  'Your tool call was cut off at the length limit and was not carried out. Make it again with shorter arguments.';
const nameAgain = 'Your tool call had no valid name and was not carried out. Call a tool by its exact name.';
const wordsOnly = 'Tools cannot be used now. Answer in words.';

/** Rejects with what the provider rejected with, and retryably when it ended its own stream with an error. */
export async function askModel(
  provider: ModelProvider,
  request: ModelRequest,
  options: AskModelOptions,
): Promise<Answer> {
  const answer: Answer = { text: '', calls: [], finishReason: 'stop', usage: noUsage(), estimated: false, requests: 0 };
  const soFar: SoFar = { text: '', empties: 0, malformed: 0, continued: 0, toolsOffered: request.tools.length > 0 };
  const show = (text: string) => {
    if (text === '') return;
    answer.text += text;
    options.onText(text);
  };
  let next = request;
  for (;;) {
    const reply = await askOnce(provider, next, { answer, show, options });
    if (reply === 'refused') return refuse();
    const verdict = judgeReply(reply, soFar);
    soFar.text = answer.text;
    answer.finishReason = reply.finishReason;
    answer.providerBlock = reply.providerBlock;
    switch (verdict.kind) {
      case 'done':
        answer.calls = verdict.calls;
        return answer;
      case 'cut off':
        show(cutOffNotice);
        return answer;
      case 'nothing':
        show(nothingSaid);
        return answer;
      case 'refused':
        return refuse();
      case 'broken':
        throw new ModelSilence('error in the stream');
      case 'continue':
        soFar.continued += 1;
        next = { ...next, messages: afterWords(request.messages, answer.text, verdict.callWasCut ? callAgain : goOn) };
        break;
      case 'again': {
        const malformed = verdict.because === 'malformed';
        if (malformed) soFar.malformed += 1;
        else soFar.empties += 1;
        if (malformed && answer.text !== '' && !answer.text.endsWith('\n\n')) show('\n\n');
        soFar.toolsOffered &&= verdict.withTools;
        const note = soFar.toolsOffered ? (malformed ? nameAgain : undefined) : wordsOnly;
        next = {
          ...next,
          tools: soFar.toolsOffered ? next.tools : [],
          messages: note === undefined ? next.messages : afterWords(request.messages, answer.text, note),
        };
        break;
      }
      default:
        return verdict satisfies never;
    }
  }

  function refuse(): Answer {
    const sentence = sentenceFor('ModelRefused', { provider: provider.name, model: request.model });
    show(answer.text.trim() === '' ? sentence : `\n\n${sentence}`);
    answer.finishReason = 'refused';
    return answer;
  }
}

interface Asking {
  answer: Answer;
  show(text: string): void;
  options: AskModelOptions;
}

async function askOnce(
  provider: ModelProvider,
  request: ModelRequest,
  { answer, show, options }: Asking,
): Promise<ModelReply | 'refused'> {
  // Only a continuation can repeat what was shown; any other text follows a blank line or stands alone.
  const seam = createSeam(answer.text.endsWith('\n\n') ? '' : answer.text);
  answer.requests += 1;
  try {
    const reply = await provider.generate(request, (text) => show(seam.push(text)), options.signal);
    show(seam.end());
    addUsage(answer, reply, options.inputTokens ?? roughTokens(request));
    return reply;
  } catch (error) {
    // A refusal by status is the model's answer too: the person reads it, and the turn completes.
    if (options.signal.aborted || failureTypeOf(error) !== 'ModelRefused') throw error;
    return 'refused';
  }
}

function addUsage(answer: Answer, reply: ModelReply, inputTokens: number): void {
  answer.estimated ||= reply.usage === undefined;
  const usage = reply.usage ?? { ...noUsage(), inputTokens, outputTokens: outputTokensOf(reply) };
  answer.usage = {
    inputTokens: answer.usage.inputTokens + usage.inputTokens,
    outputTokens: answer.usage.outputTokens + usage.outputTokens,
    cachedTokens: answer.usage.cachedTokens + usage.cachedTokens,
    reasoningTokens: answer.usage.reasoningTokens + usage.reasoningTokens,
  };
}

function outputTokensOf({ text, calls }: ModelReply): number {
  return calls.reduce((sum, call) => sum + estimateTokens(call.name + call.arguments), estimateTokens(text));
}

function roughTokens({ system, messages, tools }: ModelRequest): number {
  return Math.ceil(JSON.stringify([system, messages, tools]).length / 4);
}

function noUsage(): ModelUsage {
  return { inputTokens: 0, outputTokens: 0, cachedTokens: 0, reasoningTokens: 0 };
}

/** What the model has said of this answer, then a note; roles still alternate. */
function afterWords(messages: readonly ModelMessage[], words: string, note: string): ModelMessage[] {
  const said = words.trim() === '' ? [] : [{ role: 'assistant' as const, text: words, calls: [] }];
  const last = messages.at(-1);
  if (said.length === 0 && last?.role === 'user') {
    return [...messages.slice(0, -1), { role: 'user', text: `${last.text}\n\n${noteText(note)}` }];
  }
  return [...messages, ...said, { role: 'user', text: noteText(note) }];
}
