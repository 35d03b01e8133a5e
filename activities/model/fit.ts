// Makes what is shown fit a budget: a giant is shortened, old results become stubs, the oldest turns go, the running turn
// stays. What to take away is a function of the rows, in steps, so that the beginning of a request, which providers cache,
// changes seldom while a conversation grows.
import type { ShownCall, ShownItem } from './paired.js';
import { estimateTokens } from './tokens.js';

export interface FitOptions {
  budgetTokens: number;
  /** Of the system prompt and the tool list. */
  fixedTokens: number;
  /** The running turn: never cut. */
  turnId: string;
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
const recentResults = 8;
const smallestCapTokens = 200;
/** Tools whose result can be read again: by its handle, from where it came. */
const rereadable = /^(read_file|list_dir|find_files|grep|exec|write_stdin|web_fetch|web_search|mcp_.*)$/;

export function fitItems(items: readonly ShownItem[], { budgetTokens, fixedTokens, turnId }: FitOptions): Fitted {
  const room = budgetTokens - fixedTokens;
  const limit = Math.floor(budgetTokens * fullShare) - fixedTokens;
  const capped = items.map((item) => capItem(item, Math.max(smallestCapTokens, Math.floor(room / 2))));
  const stubbed = stubOldResults(capped, limit);
  const cut = cutOldTurns(stubbed.items, limit, turnId);
  let shown = cut.items;
  for (let cap = Math.floor(room / 4); sum(shown) > room && cap >= smallestCapTokens; cap = Math.floor(cap / 2)) {
    shown = shown.map((item) => capItem(item, cap));
  }
  const tokens = fixedTokens + sum(shown);
  const tooLarge = tokens > budgetTokens ? whatIsTooLarge(shown, fixedTokens, budgetTokens) : undefined;
  return { items: shown, tokens, stubs: stubbed.stubs, cutTurns: cut.turns, tooLarge };
}

function stubOldResults(items: ShownItem[], limit: number): { items: ShownItem[]; stubs: number } {
  const target = inSteps(sum(items) - limit, limit / 8);
  if (target <= 0) return { items, stubs: 0 };
  const results = items.filter((item) => item.kind === 'result');
  const old = new Set<ShownItem>(results.slice(0, -recentResults));
  let saved = 0;
  let stubs = 0;
  const kept = items.map((item) => {
    if (saved >= target || item.kind !== 'result' || !old.has(item)) return item;
    if (item.text.length < stubFromChars || !rereadable.test(item.tool)) return item;
    const text = `[The result of ${item.tool}, ${item.text.length} characters, is left out to save space. It can be read again: read_file with path "${item.handle}".]`;
    const stub = { ...item, text, tokens: 12 + Math.ceil(text.length / 3) };
    if (stub.tokens >= item.tokens) return item;
    saved += item.tokens - stub.tokens;
    stubs += 1;
    return stub;
  });
  return { items: kept, stubs };
}

function cutOldTurns(items: ShownItem[], limit: number, turnId: string): { items: ShownItem[]; turns: number } {
  const target = inSteps(sum(items) - limit, limit / 4);
  if (target <= 0) return { items, turns: 0 };
  const running = items.findIndex((item) => item.turnId === turnId);
  const last = running < 0 ? items.length - 1 : running;
  let passed = 0;
  let dropped = 0;
  let at = 0;
  // A cut stands only before a user's word that begins a turn: there the calls in front have all had their results.
  for (const [i, item] of items.slice(0, last + 1).entries()) {
    if (dropped >= target) break;
    if (i > 0 && item.kind === 'user' && items[i - 1]?.turnId !== item.turnId) {
      dropped = passed;
      at = i;
    }
    passed += item.tokens;
  }
  return { items: items.slice(at), turns: new Set(items.slice(0, at).map((item) => item.turnId)).size };
}

/** The smallest multiple of `step` that is enough: nothing changes again before another whole step is needed. */
function inSteps(need: number, step: number): number {
  return need <= 0 ? 0 : Math.ceil(need / Math.max(step, 1)) * Math.max(step, 1);
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
export function shorten(text: string, maxChars: number): string {
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
