// What an endpoint says it serves: for the first start, for `setup` and for `doctor`.
import { z } from 'zod';
import { knownProviders } from './known-providers.js';

const listShape = z.object({ data: z.array(z.object({ id: z.string() })) });

export interface ListModelsOptions {
  baseUrl: string;
  apiKey?: string;
  signal: AbortSignal;
  fetch?: typeof globalThis.fetch;
}

/** Rejects when nothing answers, when the key is refused (`status`), or when the answer is no list of models. */
export async function listModels({
  baseUrl,
  apiKey,
  signal,
  fetch = globalThis.fetch,
}: ListModelsOptions): Promise<string[]> {
  const headers: Record<string, string> = apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };
  const response = await fetch(`${baseUrl.replace(/\/+$/, '')}/models`, { headers, signal, redirect: 'error' });
  if (!response.ok) {
    throw Object.assign(new Error(`The endpoint answered with status ${response.status}`), { status: response.status });
  }
  return listShape.parse(await response.json()).data.map(({ id }) => id);
}

/** `host` as in OLLAMA_HOST: an address with or without scheme and port. Undefined when no Ollama answers there. */
export async function probeOllama(
  host: string | undefined,
  signal: AbortSignal,
  fetch?: typeof globalThis.fetch,
): Promise<{ baseUrl: string; models: string[] } | undefined> {
  const baseUrl = toOllamaBase(host);
  try {
    return { baseUrl, models: await listModels({ baseUrl, signal, ...(fetch ? { fetch } : {}) }) };
  } catch {
    return undefined; // Not installed, not running, too slow: at the first start that is the usual case, and not a fault.
  }
}

export function toOllamaBase(host: string | undefined): string {
  const usual = knownProviders.ollama?.baseUrl ?? '';
  if (!host) return usual;
  const address = /^https?:\/\//.test(host) ? host : `http://${host}`;
  if (!URL.canParse(address)) return usual;
  const url = new URL(address);
  // Servers are told to listen on all addresses by 0.0.0.0; to a client that is this machine.
  const hostname = url.hostname === '0.0.0.0' ? '127.0.0.1' : url.hostname;
  const port = url.port || (/:\d+/.test(address.replace(/^https?:\/\//, '')) || /^https?:/.test(host) ? '' : '11434');
  return `${url.protocol}//${hostname}${port ? `:${port}` : ''}/v1`;
}
