// From rows of the transcript to what a model is shown, in an order that every provider takes: each call has one result,
// directly behind it and in the order of the calls, whatever order the rows have and whatever happened before.
import type { Entry, EntryPart } from '../../store/entry.js';
import { escapeMarkers, noteText, runtimeText, timeIn } from './markers.js';
import { estimateTokens } from './tokens.js';

export interface ShownCall {
  /** Ours, unique in the request. A provider's own ids repeat from reply to reply. */
  id: string;
  tool: string;
  arguments: string;
}

export type ShownItem =
  | { kind: 'user'; turnId: string; text: string; tokens: number }
  | { kind: 'assistant'; turnId: string; text: string; calls: ShownCall[]; block?: unknown; tokens: number }
  | { kind: 'result'; turnId: string; callId: string; tool: string; text: string; handle: string; tokens: number };

export interface PairingOptions {
  /** The running turn: its own notices concern the person alone. */
  turnId: string;
  /** Blocks of this provider go back to it, those of others nowhere. */
  provider: string;
  timeZone: string;
}

type CallPart = Extract<EntryPart, { kind: 'call' }>;
type ResultPart = Extract<EntryPart, { kind: 'result' }>;
interface FoundResult {
  part: ResultPart;
  tokens: number;
}

const notRun = 'Error: this call was not run and has no result.';

export function pairEntries(entries: readonly Entry[], { turnId, provider, timeZone }: PairingOptions): ShownItem[] {
  const results = resultsByCall(entries);
  const seenCalls = new Set<string>();
  const usedIds = new Set<string>();
  const time = timeIn(timeZone);
  return entries.flatMap((entry): ShownItem[] => {
    const text = textOf(entry);
    switch (entry.role) {
      case 'person': {
        const words = escapeMarkers(text) || '(a message without text)';
        const runtime = runtimeText({ time: time(entry.at), channel: entry.channel, sender: entry.sender });
        const tokens = tokensOf(entry) + Math.ceil(runtime.length / 3);
        return [{ kind: 'user', turnId: entry.turnId, text: runtime ? `${words}\n\n${runtime}` : words, tokens }];
      }
      case 'note':
        return [
          { kind: 'user', turnId: entry.turnId, text: noteText(escapeMarkers(text)), tokens: tokensOf(entry) + 10 },
        ];
      case 'notice':
        return text === '' || entry.turnId === turnId
          ? []
          : [{ kind: 'assistant', turnId: entry.turnId, text, calls: [], tokens: tokensOf(entry) }];
      case 'tool':
        return []; // its results stand behind their calls
      case 'assistant':
        return assistantWithResults(entry, text);
      default:
        return entry.role satisfies never;
    }
  });

  function assistantWithResults(entry: Entry, text: string): ShownItem[] {
    const calls = entry.parts
      .filter((part): part is CallPart => part.kind === 'call')
      .filter((call) => isNew(seenCalls, keyOf(entry, call)))
      .map((call) => ({ call, id: uniqueId(usedIds, entry.turnId, call.callId) }));
    if (text === '' && calls.length === 0) return [];
    const block = entry.provider?.name === provider ? entry.provider.block : undefined;
    const blockTokens = block === undefined ? 0 : Math.ceil(JSON.stringify(block).length / 4);
    return [
      {
        kind: 'assistant',
        turnId: entry.turnId,
        text,
        calls: calls.map(({ call, id }) => ({
          id,
          tool: toolName(call.tool),
          arguments: validArguments(call.arguments),
        })),
        block,
        tokens: tokensOf(entry) + blockTokens,
      },
      ...calls.map(({ call, id }): ShownItem => {
        const found = results.get(keyOf(entry, call));
        return {
          kind: 'result',
          turnId: entry.turnId,
          callId: id,
          tool: call.tool,
          text: escapeMarkers(found?.part.text ?? notRun) || '(no output)',
          handle: found?.part.handle ?? `result:${entry.turnId}/${call.callId}`,
          tokens: found?.tokens ?? 20,
        };
      }),
    ];
  }
}

/** The first result of a call counts; one without a call is never asked for. */
function resultsByCall(entries: readonly Entry[]): Map<string, FoundResult> {
  const results = new Map<string, FoundResult>();
  for (const entry of entries) {
    const parts = entry.parts.filter((part) => part.kind === 'result');
    for (const part of parts) {
      const key = keyOf(entry, part);
      if (results.has(key)) continue;
      results.set(key, { part, tokens: parts.length === 1 ? tokensOf(entry) : estimateTokens(part.text) + 12 });
    }
  }
  return results;
}

function keyOf(entry: Entry, part: CallPart | ResultPart): string {
  return `${entry.turnId}/${part.callId}`;
}

function isNew(seen: Set<string>, key: string): boolean {
  if (seen.has(key)) return false;
  seen.add(key);
  return true;
}

/** `t<seq>_s3_c1`: at most 40 characters of the set that all providers take. */
function uniqueId(used: Set<string>, turnId: string, callId: string): string {
  const seq = /-(\d+)$/.exec(turnId)?.[1] ?? '0';
  const plain = `t${seq}_${callId}`.replace(/[^a-zA-Z0-9]+/g, '_').slice(0, 34);
  let id = plain;
  for (let n = 2; used.has(id); n++) id = `${plain}_${n}`; // the same number in another conversation, as after a fork
  used.add(id);
  return id;
}

function toolName(name: string): string {
  return name.replace(/[^a-zA-Z0-9_-]/g, '_').slice(0, 64) || 'unknown';
}

/** A provider parses the arguments of earlier calls: broken ones would make every later request fail. */
function validArguments(args: string): string {
  try {
    const parsed: unknown = JSON.parse(args);
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) ? args : '{}';
  } catch {
    return '{}'; // its result tells the model what was wrong with them
  }
}

function textOf(entry: Entry): string {
  return entry.parts.flatMap((part) => (part.kind === 'text' && part.text !== '' ? [part.text] : [])).join('\n');
}

function tokensOf(entry: Entry): number {
  return entry.tokens > 0 ? entry.tokens : estimateTokens(entry.parts.map((part) => JSON.stringify(part)).join(''));
}
