// Puts the pieces of a chat-completions stream together. What a server sends is outside input: fields may be missing, null,
// or of a dialect, and calls may come without index or with a wrong one.
import { z } from 'zod';
import { ModelAnswerTooLarge, ModelSilence } from '../failures.js';
import type { FinishReason, ModelCall, ModelReply, ModelUsage } from '../model.js';
import { createVisibleText, repairText } from '../visible-text.js';

const callDelta = z.object({
  index: z.number().nullish(),
  id: z.string().nullish(),
  function: z
    .object({
      name: z.string().nullish(),
      arguments: z.union([z.string(), z.record(z.string(), z.unknown())]).nullish(),
    })
    .nullish(),
});

const contentPart = z.object({ type: z.string().nullish(), text: z.string().nullish() });

const delta = z.object({
  content: z.union([z.string(), z.array(contentPart)]).nullish(), // parts: Mistral's reasoning models
  refusal: z.string().nullish(),
  reasoning_content: z.string().nullish(),
  reasoning: z.string().nullish(),
  reasoning_details: z.array(z.record(z.string(), z.unknown())).nullish(),
  tool_calls: z.array(callDelta).nullish(),
});

const count = z.number().nullish();
const usageShape = z.object({
  prompt_tokens: count,
  completion_tokens: count,
  prompt_tokens_details: z.object({ cached_tokens: count }).nullish(),
  completion_tokens_details: z.object({ reasoning_tokens: count }).nullish(),
  prompt_cache_hit_tokens: count, // DeepSeek
  cached_tokens: count, // Moonshot
});

const chunkShape = z.object({
  choices: z
    .array(z.object({ delta: delta.nullish(), message: delta.nullish(), finish_reason: z.string().nullish() }))
    .nullish(),
  usage: usageShape.nullish(),
  x_groq: z.object({ usage: usageShape.nullish() }).nullish(),
});

type CallDelta = z.infer<typeof callDelta>;
type Delta = z.infer<typeof delta>;

/** The reasoning of a reply in the fields in which it came: that is how its provider wants it back. */
export interface ReasoningBlock {
  reasoning_content?: string;
  reasoning?: string;
  reasoning_details?: Record<string, unknown>[];
}

export interface Assembly {
  /** Takes a chunk, or a whole completion of a server that does not stream. */
  push(chunk: unknown): void;
  /** Throws when the stream ended without saying why: it was cut. */
  reply(): ModelReply;
}

export interface AssemblyOptions {
  onDelta(text: string): void;
  /** Of text, arguments and reasoning together. */
  maxBytes: number;
}

interface CallSlot extends ModelCall {
  index: number | undefined;
}

export function assembleReply({ onDelta, maxBytes }: AssemblyOptions): Assembly {
  const visible = createVisibleText();
  const calls: CallSlot[] = [];
  const block: ReasoningBlock = {};
  let text = '';
  let finish: string | undefined;
  let usage: ModelUsage | undefined;
  let bytes = 0;

  const measure = (piece: string) => {
    bytes += Buffer.byteLength(piece);
    if (bytes > maxBytes) throw new ModelAnswerTooLarge();
    return piece;
  };
  const show = (shown: string) => {
    if (shown === '') return;
    text += shown;
    onDelta(shown);
  };

  function takeDelta(piece: Delta): void {
    if (piece.reasoning_content)
      block.reasoning_content = (block.reasoning_content ?? '') + measure(piece.reasoning_content);
    if (piece.reasoning) block.reasoning = (block.reasoning ?? '') + measure(piece.reasoning);
    for (const detail of piece.reasoning_details ?? []) {
      measure(JSON.stringify(detail));
      block.reasoning_details ??= [];
      addDetail(block.reasoning_details, detail);
    }
    const words = wordsIn(piece.content) + (piece.refusal ?? '');
    if (words !== '') show(visible.push(measure(words)));
    for (const call of piece.tool_calls ?? []) takeCall(call);
  }

  function takeCall(piece: CallDelta): void {
    const slot = slotFor(calls, piece);
    const args = piece.function?.arguments;
    slot.id ||= piece.id ?? '';
    slot.name ||= measure(piece.function?.name ?? ''); // the first name stands: some servers repeat it in every piece
    slot.arguments += measure(typeof args === 'object' && args !== null ? JSON.stringify(args) : (args ?? ''));
  }

  return {
    push(chunk) {
      const parsed = chunkShape.parse(chunk);
      const [choice] = parsed.choices ?? [];
      const piece = choice?.delta ?? choice?.message;
      if (piece) takeDelta(piece);
      finish = choice?.finish_reason ?? finish;
      usage = toUsage(parsed.usage ?? parsed.x_groq?.usage) ?? usage;
    },
    reply() {
      // Some servers never give a reason; then the usage, which comes last, tells that nothing is missing.
      if (finish === undefined && usage === undefined) throw new ModelSilence('stream ended early');
      show(visible.end());
      return {
        text,
        calls: calls.map(({ id, name, arguments: args }) => ({ id, name, arguments: repairText(args) })),
        usage,
        finishReason: toFinishReason(finish),
        providerBlock: Object.keys(block).length > 0 ? repairBlock(block) : undefined,
      };
    },
  };
}

function wordsIn(content: Delta['content']): string {
  if (typeof content === 'string') return content;
  return (content ?? []).map((part) => (part.type === 'text' ? (part.text ?? '') : '')).join('');
}

/** By index; by id where there is none, or where one index is used for several calls; else the last one goes on. */
function slotFor(calls: CallSlot[], piece: CallDelta): CallSlot {
  const index = piece.index ?? undefined;
  const known =
    index === undefined && !piece.id
      ? calls.at(-1)
      : calls.findLast(
          (call) =>
            (index === undefined || call.index === undefined || call.index === index) &&
            (!piece.id || call.id === '' || call.id === piece.id),
        );
  if (known) return known;
  const slot: CallSlot = { index, id: '', name: '', arguments: '' };
  calls.push(slot);
  return slot;
}

/** Pieces of one detail follow each other; its strings grow, whatever else it has is taken as it comes last. */
function addDetail(details: Record<string, unknown>[], piece: Record<string, unknown>): void {
  const last = details.at(-1);
  if (last === undefined || last.type !== piece.type || last.index !== piece.index) {
    details.push({ ...piece });
    return;
  }
  for (const [key, value] of Object.entries(piece)) {
    const grows = key === 'text' || key === 'summary' || key === 'data';
    const before = last[key];
    last[key] = grows && typeof before === 'string' && typeof value === 'string' ? before + value : (value ?? before);
  }
}

function repairBlock(block: ReasoningBlock): unknown {
  return JSON.parse(JSON.stringify(block), (_key, value: unknown) =>
    typeof value === 'string' ? repairText(value) : value,
  );
}

function toUsage(usage: z.infer<typeof usageShape> | null | undefined): ModelUsage | undefined {
  if (!usage) return undefined;
  return {
    inputTokens: usage.prompt_tokens ?? 0,
    outputTokens: usage.completion_tokens ?? 0,
    cachedTokens:
      usage.prompt_tokens_details?.cached_tokens ?? usage.prompt_cache_hit_tokens ?? usage.cached_tokens ?? 0,
    reasoningTokens: usage.completion_tokens_details?.reasoning_tokens ?? 0,
  };
}

/** A reason that we do not know counts as an error: calls that came with it are not carried out. */
function toFinishReason(reason: string | undefined): FinishReason {
  switch (reason) {
    case undefined:
    case 'stop':
    case 'end_turn':
    case 'eos':
      return 'stop';
    case 'tool_calls':
    case 'function_call':
    case 'tool_use':
      return 'tool calls';
    case 'length':
    case 'max_tokens':
    case 'model_length':
      return 'length';
    case 'content_filter':
    case 'refusal':
    case 'sensitive':
      return 'refused';
    default:
      return 'error';
  }
}
