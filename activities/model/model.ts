// The contract of a model provider. It takes one request and streams one reply; it knows nothing of turns, stores or engines.

export interface ModelCall {
  /** The provider's own id, sent back with the result; never a key of ours. */
  id: string;
  name: string;
  /** JSON as the model wrote it: may be broken, is repaired and validated by the tool layer. */
  arguments: string;
}

export type ModelMessage =
  | { role: 'user'; text: string }
  | {
      role: 'assistant';
      text: string;
      calls: ModelCall[];
      /** The provider's own block of an earlier reply (reasoning, signatures), sent back untouched to the same provider. */
      providerBlock?: unknown;
    }
  | { role: 'tool'; callId: string; name: string; text: string };

export interface ToolSpec {
  name: string;
  description: string;
  /** JSON Schema of the arguments, of the input side. */
  parameters: Record<string, unknown>;
}

export interface ModelRequest {
  model: string;
  system: string;
  messages: ModelMessage[];
  /** Empty: the model is offered no tools. */
  tools: ToolSpec[];
  maxTokens: number;
  temperature: number;
  reasoningEffort?: string;
}

export interface ModelUsage {
  inputTokens: number;
  outputTokens: number;
  cachedTokens: number;
  reasoningTokens: number;
}

/** `tool calls` and `stop` may carry calls that run; calls that arrive with `length`, `refused` or `error` are not carried out. */
export type FinishReason = 'stop' | 'tool calls' | 'length' | 'refused' | 'error';

export interface ModelReply {
  text: string;
  calls: ModelCall[];
  /** Undefined when the provider reported none: then the caller estimates. */
  usage?: ModelUsage;
  finishReason: FinishReason;
  providerBlock?: unknown;
}

export interface ModelProvider {
  /** The name of the configured provider, "openai", "ollama", "demo". */
  readonly name: string;
  /**
   * Asks once; no retries of its own. `onDelta` gets pieces of visible text in order; what they join to equals `text`.
   * Rejects with whatever the wire gave: `toModelFailure` classifies it. Aborted: rejects within 100 ms.
   */
  generate(request: ModelRequest, onDelta: (text: string) => void, signal: AbortSignal): Promise<ModelReply>;
}

/** Price in micro-USD for a million tokens; null where unknown. */
export interface ModelPrice {
  inputMicros: number;
  cachedMicros: number;
  outputMicros: number;
}

/** What serves a model name: which provider, which of its models, how much fits. `rule` says how it was chosen, for `status`. */
export interface ChosenModel {
  provider: ModelProvider;
  model: string;
  contextWindowTokens: number;
  maxTokens: number;
  price: ModelPrice | null;
  rule: string;
}
