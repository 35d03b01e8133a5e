// Providers that a name and a key are enough for. Any other name under "providers" is an OpenAI-compatible endpoint of its own
// and needs its apiBase.

export interface KnownProvider {
  baseUrl: string;
  kind: 'direct' | 'gateway' | 'local';
  /** Models that are this vendor's own. */
  models?: RegExp;
  /** What serves while no model is chosen; none where the vendor's names change too often to promise one. */
  defaultModel?: string;
}

/** In the order in which they are looked at when nothing else decides. */
export const knownProviders: Record<string, KnownProvider> = {
  openai: {
    baseUrl: 'https://api.openai.com/v1',
    kind: 'direct',
    models: /^(?:gpt-(?!oss)|chatgpt-|o\d)/i,
    defaultModel: 'gpt-5.4-mini',
  },
  openrouter: { baseUrl: 'https://openrouter.ai/api/v1', kind: 'gateway', defaultModel: 'openai/gpt-5.4-mini' },
  deepseek: { baseUrl: 'https://api.deepseek.com/v1', kind: 'direct', models: /deepseek/i },
  gemini: { baseUrl: 'https://generativelanguage.googleapis.com/v1beta/openai', kind: 'direct', models: /gemini/i },
  groq: { baseUrl: 'https://api.groq.com/openai/v1', kind: 'direct' },
  mistral: { baseUrl: 'https://api.mistral.ai/v1', kind: 'direct', models: /mistral|codestral|magistral|devstral/i },
  moonshot: { baseUrl: 'https://api.moonshot.ai/v1', kind: 'direct', models: /kimi|moonshot/i },
  dashscope: { baseUrl: 'https://dashscope.aliyuncs.com/compatible-mode/v1', kind: 'direct', models: /qwen|qwq/i },
  zhipu: { baseUrl: 'https://open.bigmodel.cn/api/paas/v4', kind: 'direct', models: /glm/i },
  minimax: { baseUrl: 'https://api.minimax.io/v1', kind: 'direct', models: /minimax/i },
  xai: { baseUrl: 'https://api.x.ai/v1', kind: 'direct', models: /grok/i },
  siliconflow: { baseUrl: 'https://api.siliconflow.cn/v1', kind: 'gateway' },
  together: { baseUrl: 'https://api.together.xyz/v1', kind: 'gateway' },
  aihubmix: { baseUrl: 'https://aihubmix.com/v1', kind: 'gateway' },
  ollama: { baseUrl: 'http://127.0.0.1:11434/v1', kind: 'local' },
  lmstudio: { baseUrl: 'http://127.0.0.1:1234/v1', kind: 'local' },
  vllm: { baseUrl: 'http://127.0.0.1:8000/v1', kind: 'local' },
};
