// Makes what is shown fit a budget: a giant is shortened, old results become stubs, the oldest turns go, the running turn
// stays. What is taken away is a function of the rows, and seldom changes while a conversation grows: providers cache the
// beginning of a request.
import type { ShownCall, ShownItem } from './paired.js';
import { estimateTokens } from './tokens.js';

export interface FitOptions {
  budgetTokens: number;
  /** Of the system prompt and the tool list. */
  fixedTokens: number;
  /** The running turn: never cut. */
  turnId: string;
  /** What was read at most of the conversation, before anything became a stub. */
  readTokens: number;
}

export interface Fitted {
  items: ShownItem[];
  tokens: number;
  stubs: number;
  /** Turns that are no longer shown. */
  cutTurns: number;
  /** What is too big when even this does not fit. */
  tooLarge?: string;
}

const fullShare = 0.85;
const stubFromChars = 500;
const smallestCapTokens = 200;
/** Tools whose result can be read again: by its handle, from where it came. */
const rereadable = /^(read_file|list_dir|find_files|grep|exec|write_stdin|web_fetch|web_search|mcp_.*)$/;

export function fitItems(items: readonly ShownItem[], options: FitOptions): Fitted {
  const { budgetTokens, fixedTokens, turnId, readTokens } = options;
  const room = budgetTokens - fixedTokens;
  const limit = Math.floor(budgetTokens * fullShare) - fixedTokens;
  const capped = items.map((item) => capItem(item, Math.max(smallestCapTokens, Math.floor(room / 2))));
  // What lies near the end of what was read moves with each step, so the beginning is chosen a little before it.
  const near = cutOldTurns(capped, readTokens * 0.9, turnId);
  const stubbed = stubOldResults(near.items, limit);
  const cut = cutOldTurns(stubbed.items, limit, turnId);
  let shown = cut.items;
  for (let cap = Math.floor(room / 4); sum(shown) > room && cap >= smallestCapTokens; cap = Math.floor(cap / 2)) {
    shown = shown.map((item) => capItem(item, cap));
  }
  const tokens = fixedTokens + sum(shown);
  const tooLarge = tokens > budgetTokens ? whatIsTooLarge(shown, fixedTokens, budgetTokens) : undefined;
  return { items: shown, tokens, stubs: stubbed.stubs, cutTurns: near.turns + cut.turns, tooLarge };
}

/** Results that have half of what fits behind them are old. */
function stubOldResults(items: ShownItem[], limit: number): { items: ShownItem[]; stubs: number } {
  if (sum(items) <= limit) return { items, stubs: 0 };
  const kept = tokensFrom(items);
  const candidates = items.flatMap((item, at) =>
    item.kind === 'result' ? [{ at, kept: kept[at] ?? 0, rank: rankOf(item.callId) }] : [],
  );
  const from = stablePlace(candidates, limit / 2) ?? 0;
  let stubs = 0;
  const shown = items.map((item, i) => {
    if (i >= from || item.kind !== 'result' || item.text.length < stubFromChars || !rereadable.test(item.tool))
      return item;
    const text = `[The result of ${item.tool}, ${item.text.length} characters, is left out to save space. It can be read again: read_file with path "${item.handle}".]`;
    const stub = { ...item, text, tokens: 12 + Math.ceil(text.length / 3) };
    if (stub.tokens >= item.tokens) return item;
    stubs += 1;
    return stub;
  });
  return { items: shown, stubs };
}

function cutOldTurns(items: ShownItem[], limit: number, turnId: string): { items: ShownItem[]; turns: number } {
  const running = items.findIndex((item) => item.turnId === turnId);
  const last = running < 0 ? items.length - 1 : running;
  const kept = tokensFrom(items);
  // A cut stands only before a user's word that begins a turn: there the calls in front have all had their results.
  const candidates = items.slice(0, last + 1).flatMap((item, at) => {
    const begins = item.kind === 'user' && items[at - 1]?.turnId !== item.turnId;
    return begins ? [{ at, kept: kept[at] ?? 0, rank: rankOf(item.turnId) }] : [];
  });
  // The oldest rows that were read may belong to a turn whose beginning was not.
  const whole = items[0]?.kind === 'user' ? 0 : (candidates[0]?.at ?? 0);
  const at = (kept[0] ?? 0) <= limit ? whole : Math.max(whole, stablePlace(candidates, limit) ?? 0);
  return { items: items.slice(at), turns: new Set(items.slice(0, at).map((item) => item.turnId)).size };
}

interface Place {
  at: number;
  /** Tokens from here to the end. */
  kept: number;
  rank: number;
}

/**
 * From where on at most `limit` is kept. Of the places that keep nearly as much, it is the one of the highest rank: a place that
 * stays the best one while the conversation grows, and that does not depend on how far back the rows were read.
 */
function stablePlace(places: readonly Place[], limit: number): number | undefined {
  const fitting = places.filter(({ kept }) => kept <= limit);
  const [first] = fitting;
  if (first === undefined) return places.at(-1)?.at; // nothing fits: as little as may be
  const near = fitting.filter(({ kept }) => kept >= limit * 0.75);
  return near.reduce((best, place) => (place.rank > best.rank ? place : best), near[0] ?? first).at;
}

/** How often two divides the sum of the numbers in an id: high ranks are rare and spread evenly. */
function rankOf(id: string): number {
  const number = (id.match(/\d+/g) ?? []).slice(-3).reduce((total, digits) => total + Number(digits), 0);
  return number === 0 ? 0 : Math.log2(number & -number);
}

function tokensFrom(items: readonly ShownItem[]): number[] {
  let behind = 0;
  return items
    .map((item) => item.tokens)
    .reduceRight<number[]>((list, tokens) => {
      behind += tokens;
      list.push(behind);
      return list;
    }, [])
    .reverse();
}

function sum(items: readonly ShownItem[]): number {
  return items.reduce((total, item) => total + item.tokens, 0);
}

function capItem(item: ShownItem, capTokens: number): ShownItem {
  if (item.tokens <= capTokens) return item;
  const size = item.text.length + (item.kind === 'assistant' ? sizeOf(item.calls) : 0);
  // A text is denser in one place than in another, so what was cut by length is counted again.
  for (let maxChars = Math.floor((size * capTokens) / item.tokens); ; maxChars = Math.floor(maxChars * 0.7)) {
    const shorter = shortenItem(item, maxChars);
    if (shorter.tokens <= capTokens || maxChars < 100) return shorter;
  }
}

function shortenItem(item: ShownItem, maxChars: number): ShownItem {
  if (item.kind !== 'assistant') {
    const text = shorten(item.text, maxChars);
    return { ...item, text, tokens: estimateTokens(text) + 18 };
  }
  const textShare = Math.floor((maxChars * item.text.length) / (item.text.length + sizeOf(item.calls)));
  const text = shorten(item.text, textShare);
  const perCall = Math.floor((maxChars - textShare) / Math.max(item.calls.length, 1));
  const calls = item.calls.map((call) => ({ ...call, arguments: shortenArguments(call.arguments, perCall) }));
  const block = item.block === undefined ? 0 : Math.ceil(JSON.stringify(item.block).length / 4);
  const tokens = calls.reduce((total, call) => total + estimateTokens(call.arguments) + 18, estimateTokens(text) + 6);
  return { ...item, text, calls, tokens: tokens + block };
}

function sizeOf(calls: readonly ShownCall[]): number {
  return calls.reduce((total, call) => total + call.arguments.length, 0);
}

/** Head and tail, and how much is missing between them. */
function shorten(text: string, maxChars: number): string {
  if (text.length <= maxChars) return text;
  const notice = `\n[… ${text.length - maxChars} characters left out …]\n`;
  const keep = Math.max(0, maxChars - notice.length);
  const tail = Math.floor(keep * 0.4);
  return text.slice(0, keep - tail) + notice + (tail > 0 ? text.slice(-tail) : '');
}

/** Long strings within, so that it stays the JSON that providers parse. */
function shortenArguments(args: string, maxChars: number): string {
  if (args.length <= maxChars) return args;
  const parsed: unknown = JSON.parse(args);
  for (let each = maxChars; each > 30; each = Math.floor(each / 2)) {
    const shorter = JSON.stringify(parsed, (_key, value: unknown) =>
      typeof value === 'string' ? shorten(value, each) : value,
    );
    if (shorter.length <= maxChars) return shorter;
  }
  return '{}';
}

function whatIsTooLarge(items: readonly ShownItem[], fixedTokens: number, budgetTokens: number): string {
  if (fixedTokens > budgetTokens / 2) return 'the system prompt and the tool list';
  return items.length > 20 ? 'the number of steps of this turn' : 'the messages of this turn';
}
