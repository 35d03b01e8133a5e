// What must hold once all is quiet, each a function over what was seen; every sentence that one returns is a violation.
// The oracle's file is asked first, then the store, then the engine.
import type { Line } from './journal.js';
import type { EffectSeen, TurnSeen } from './observe.js';
import type { Observation, Strike } from './round.js';

export interface Violation {
  id: 'I1' | 'I2' | 'I3' | 'I4' | 'I5' | 'I6' | 'I10' | 'I12' | 'death';
  what: string;
}

type Of<Kind extends Line['kind']> = Extract<Line, { kind: Kind }>;

function of<Kind extends Line['kind']>({ lines }: Observation, kind: Kind): Of<Kind>[] {
  return lines.filter((line): line is Of<Kind> => line.kind === kind);
}

export function checkAll(seen: Observation): Violation[] {
  const checks = {
    I1: acceptedMeansKept,
    I2: oneTurnAMessage,
    I3: visibleOnce,
    I4: doneOnce,
    I5: transcriptIsWhole,
    I10: nothingIsLeft,
    I12: boughtOnce,
  };
  const found = Object.entries(checks).flatMap(([id, check]) =>
    check(seen).map((what): Violation => ({ id: id as keyof typeof checks, what })),
  );
  return [...found, ...seen.deaths.map((what): Violation => ({ id: 'death', what }))];
}

const ends = new Set(['answered', 'stopped', 'failed', 'limit']);

/** I1: what a platform handed over for good belongs to one turn that has ended, and the person sees its answer or a word about it. */
export function acceptedMeansKept(seen: Observation): string[] {
  const { store } = seen;
  const wrong: string[] = [];
  const posted = new Map(of(seen, 'posted').map((line) => [line.number, line]));
  const taken = new Set(of(seen, 'acknowledged').flatMap(({ numbers }) => numbers));
  const shown = visibleByTurn(seen);
  for (const number of taken) {
    const rows = store.inbox.filter(({ externalId }) => externalId === `m${number}`);
    if (rows.length !== 1) wrong.push(`message ${number} was acknowledged and has ${rows.length} rows`);
    const row = rows[0];
    if (!row) continue;
    if (posted.get(number)?.command) {
      if (!visible(seen).some(({ key }) => key.startsWith(`command:`) && key.includes(`m${number}/`)))
        wrong.push(`the command ${number} has no visible answer`);
      continue;
    }
    wrong.push(...keptIn(seen, shown, row.turnId, String(number)));
  }
  for (const turn of store.turns) {
    // No row makes a provider fail or sets a limit.
    const cause = turn.state === 'answered' || (turn.state === 'stopped' && wasStopped(seen, turn));
    if (ends.has(turn.state) && !cause)
      wrong.push(`turn ${turn.id} ended as ${turn.state} (${turn.reason}) for no reason`);
  }
  for (const row of store.inbox.filter(({ kind }) => kind === 'result')) {
    const [number] = /(?<=#)\d+(?:\.\d+)+/.exec(row.text) ?? [];
    if (number) wrong.push(...keptIn(seen, shown, row.turnId, number));
  }
  return wrong;
}

/** A stop reaches the whole family of a turn. */
function wasStopped({ store }: Observation, { rootTurnId }: TurnSeen): boolean {
  return store.turns.some((turn) => turn.rootTurnId === rootTurnId && turn.markedAt !== null);
}

function keptIn(seen: Observation, shown: Map<string, string>, turnId: string | null, number: string): string[] {
  const turn = seen.store.turns.find(({ id }) => id === turnId);
  if (!turn) return [`${number} belongs to no turn`];
  if (!ends.has(turn.state)) return [`${number} belongs to turn ${turn.id}, which is ${turn.state}`];
  const text = shown.get(turn.id);
  if (text === undefined) return [`turn ${turn.id} of ${number} has ended as ${turn.state} without a visible word`];
  const named = new RegExp(`#${number.replaceAll('.', '\\.')}(?![\\d])`).test(text);
  return turn.state === 'answered' && !named
    ? [`the answer of turn ${turn.id} does not name ${number}: ${text.slice(0, 80)}`]
    : [];
}

/** What people see: taken by the platform and not taken back. */
function visible(seen: Observation): Of<'sent'>[] {
  const removed = new Set(of(seen, 'removed').map(({ id }) => id));
  return of(seen, 'sent').filter(({ id }) => !removed.has(id));
}

function visibleByTurn(seen: Observation): Map<string, string> {
  const shown = new Map<string, string>();
  for (const { key, text } of visible(seen)) {
    const [, turnId] = /^(\d+-\d+)\/(?:answer|notice)/.exec(key) ?? [];
    if (turnId) shown.set(turnId, `${shown.get(turnId) ?? ''}${text}`);
  }
  return shown;
}

/** I2: a message is in one turn, for the store and for the model. */
export function oneTurnAMessage(seen: Observation): string[] {
  const wrong: string[] = [];
  const turns = new Map<string, Set<string>>();
  for (const { numbers, turn } of of(seen, 'asked')) {
    for (const number of numbers) turns.set(number, (turns.get(number) ?? new Set()).add(turn));
  }
  for (const [number, named] of turns) {
    if (named.size > 1) wrong.push(`the model was asked about ${number} in the turns of ${[...named].join(' and ')}`);
  }
  const said = new Map<string, string[]>();
  for (const { role, parts, turnId } of seen.store.entries) {
    if (role !== 'person') continue;
    for (const part of parts) {
      const [, number] = part.kind === 'text' ? (/^#([\d.]+) \{/.exec(part.text) ?? []) : [];
      if (number) said.set(number, [...(said.get(number) ?? []), turnId]);
    }
  }
  for (const [number, ids] of said) {
    if (ids.length > 1)
      wrong.push(`message ${number} stands ${ids.length} times in transcripts: turns ${ids.join(', ')}`);
  }
  return wrong;
}

/** I3: a part is visible once, or each further copy says that it may be a repeat; and parts appear in their order. */
export function visibleOnce(seen: Observation): string[] {
  const wrong: string[] = [];
  const copies = new Map<string, Of<'sent'>[]>();
  for (const line of visible(seen)) copies.set(line.key, [...(copies.get(line.key) ?? []), line]);
  for (const [key, [first, ...further]] of copies) {
    const row = seen.store.outbox.find((candidate) => candidate.key === key);
    if (!row) wrong.push(`${key} is visible and has no row`);
    for (const copy of further) {
      if (first?.channel === 'fake') wrong.push(`${key} is visible twice on a platform that can be asked`);
      else if (!copy.repeat) wrong.push(`${key} is visible twice without a mark`);
      else if (row && !row.wasUnknown) wrong.push(`${key} was repeated although it was never unknown`);
    }
  }
  return [...wrong, ...outOfOrder(seen, copies)];
}

function outOfOrder(seen: Observation, copies: Map<string, Of<'sent'>[]>): string[] {
  const wrong: string[] = [];
  const last = new Map<string, { key: string; at: number }>();
  for (const { key, destination } of seen.store.outbox) {
    const at = copies.get(key)?.[0]?.at;
    if (at === undefined) continue;
    const before = last.get(destination);
    if (before && before.at > at) wrong.push(`${key} became visible before ${before.key}`);
    last.set(destination, { key, at });
  }
  return wrong;
}

/** I4: no effect twice, none after a stop, and the ledger's word is true. */
export function doneOnce(seen: Observation): string[] {
  const effects = of(seen, 'effect');
  const wrong: string[] = [];
  for (const tool of ['put', 'mail']) {
    const mine = effects.filter((line) => line.tool === tool && !line.folded);
    for (const [name, lines] of groupBy(mine, ({ name }) => name)) {
      if (lines.length > 1)
        wrong.push(`${tool} ${name} took effect ${lines.length} times (${lines.map(({ key }) => key).join(', ')})`);
    }
  }
  for (const effect of seen.store.effects) wrong.push(...ledgerIsTrue(seen, effect, effects));
  return [...wrong, ...commandsRanOnce(seen), ...nothingAfterAStop(seen, effects)];
}

const counted = new Set(['look', 'fetch', 'put', 'mail']);

function ledgerIsTrue(seen: Observation, effect: EffectSeen, effects: Of<'effect'>[]): string[] {
  const key = `${effect.turnId}/${effect.callId}`;
  const happened = effects.some((line) => line.key === key);
  const { state, tool } = effect;
  if (counted.has(tool)) {
    if (state === 'done' && !happened) return [`${tool} ${key} is done and never happened`];
    if (state === 'not run' && happened && (tool === 'put' || tool === 'mail'))
      return [`${tool} ${key} is "not run" and happened`];
  }
  if (tool === 'write_file' && state === 'done' && !seen.workspace.written.has(nameOf(effect)))
    return [`the file of ${key} is written and is not there`];
  if (state !== 'unknown') return [];
  // "May have happened" is for what was interrupted, and only where nobody can look.
  const interrupted =
    tool === 'mail' || (tool === 'exec' && seen.strikes.some(({ victim }) => victim === 'supervisor'));
  const worn = (tool === 'put' || tool === 'write_file') && seen.strikes.length >= 3;
  const stopped = seen.store.turns.find(({ id }) => id === effect.turnId)?.markedAt !== null;
  return interrupted || worn || stopped ? [] : [`${tool} ${key} "may have happened", but could have been known`];
}

function nameOf({ arguments: input }: EffectSeen): string {
  return /\d+(?:\.\d+)+/.exec(JSON.stringify(input))?.[0] ?? '';
}

function commandsRanOnce(seen: Observation): string[] {
  const wrong: string[] = [];
  for (const effect of seen.store.effects.filter(({ tool }) => tool === 'exec')) {
    const name = nameOf(effect);
    const lines = seen.exec.filter((line) => line.name === name);
    const began = lines.filter(({ word }) => word === 'began').length;
    const ended = lines.filter(({ word }) => word === 'ended').length;
    if (began > 1) wrong.push(`the command ${name} began ${began} times`);
    if (effect.state === 'not run' && began > 0) wrong.push(`the command ${name} is "not run" and began`);
    if (effect.state === 'done' && ended !== 1 && !wasKilled(seen, effect))
      wrong.push(`the command ${name} is done and ended ${ended} times`);
    const closedAt = seen.store.turns.find(({ id }) => id === effect.turnId)?.closedAt ?? null;
    const late = lines.find(({ wall }) => closedAt !== null && wall > closedAt + 100);
    if (late)
      wrong.push(`the command ${name} ${late.word} ${Math.round(late.wall - (closedAt ?? 0))} ms after its turn ended`);
  }
  return wrong;
}

/** A command that somebody else killed has ended, and its result says how. */
function wasKilled({ store, strikes }: Observation, { turnId, callId }: EffectSeen): boolean {
  const result = store.entries.find((entry) => entry.turnId === turnId && entry.callId === callId)?.parts[0];
  return strikes.some(({ victim }) => victim === 'command') && result?.kind === 'result' && /signal/.test(result.text);
}

const stopMs = 2_000;

function nothingAfterAStop(seen: Observation, effects: Of<'effect'>[]): string[] {
  const marked = new Map(
    seen.store.turns.flatMap((turn) => (turn.markedAt === null ? [] : [[turn.id, turn.markedAt]])),
  );
  return effects.flatMap(({ tool, key, wall, folded }) => {
    const markedAt = marked.get(key.slice(0, key.indexOf('/')));
    if (markedAt === undefined || folded || wall <= markedAt + stopMs) return [];
    return [`${tool} ${key} happened ${Math.round(wall - markedAt)} ms after the stop`];
  });
}

/** I5: a conversation is the accepted messages in their order, and each call has one result: the one that the world gave. */
export function transcriptIsWhole(seen: Observation): string[] {
  const { store } = seen;
  const wrong: string[] = [];
  for (const [conversationId, entries] of groupBy(store.entries, (entry) => entry.conversationId)) {
    const said = entries
      .filter(({ role }) => role === 'person')
      .map(({ parts }) => (parts[0]?.kind === 'text' ? parts[0].text : ''));
    const kept = store.inbox
      .filter((row) => row.conversationId === conversationId && row.kind === 'message' && row.turnId !== null)
      .map(({ text }) => text);
    if (JSON.stringify(said) !== JSON.stringify(kept))
      wrong.push(
        `conversation ${conversationId} holds ${said.map(short).join(', ')} instead of ${kept.map(short).join(', ')}`,
      );
    const callParts = entries.flatMap(({ turnId, id, parts }) =>
      parts.flatMap((part) => (part.kind === 'call' ? [{ key: `${turnId}/${part.callId}`, id }] : [])),
    );
    const results = entries.flatMap(({ turnId, id, parts }) =>
      parts.flatMap((part) =>
        part.kind === 'result' ? [{ key: `${turnId}/${part.callId}`, id, text: part.text }] : [],
      ),
    );
    for (const { key, id } of callParts) {
      const mine = results.filter((result) => result.key === key);
      if (mine.length !== 1) wrong.push(`call ${key} has ${mine.length} results`);
      if (mine.some((result) => result.id < id)) wrong.push(`the result of ${key} stands before its call`);
    }
    for (const { key, text } of results) {
      if (!callParts.some((call) => call.key === key)) wrong.push(`a result without a call: ${key}`);
      wrong.push(...resultIsTrue(seen, key, text));
    }
  }
  return [...wrong, ...answersAreShown(seen)];
}

const short = (text: string) => text.slice(0, 12);

function resultIsTrue(seen: Observation, key: string, text: string): string[] {
  const effect = seen.store.effects.find(({ turnId, callId }) => `${turnId}/${callId}` === key);
  if (!effect) return [`the result of ${key} has no call in the ledger`];
  if (effect.state !== 'done') return [];
  const name = nameOf(effect);
  if (counted.has(effect.tool)) {
    const given = of(seen, 'effect').filter((line) => line.key === key);
    return given.some((line) => line.text === text) ? [] : [`the result of ${key} is not what ${effect.tool} returned`];
  }
  if (effect.tool === 'exec' && !text.includes(`ran ${name}`) && !wasKilled(seen, effect))
    return [`the result of ${key} is not what ${name} printed`];
  const { wait } = effect.arguments;
  if (effect.tool === 'spawn' && wait === true && !text.includes(`#${name}`))
    return [`the result of ${key} is not the answer of its child`];
  return [];
}

function answersAreShown(seen: Observation): string[] {
  const shown = visibleByTurn({ ...seen, lines: seen.lines.filter((line) => line.kind !== 'sent' || !line.repeat) });
  return seen.store.turns
    .filter(({ state, parentTurnId }) => state === 'answered' && parentTurnId === null)
    .flatMap((turn) => {
      const last = seen.store.entries.findLast(({ turnId, role }) => turnId === turn.id && role === 'assistant');
      const text = last?.parts.map((part) => (part.kind === 'text' ? part.text : '')).join('') ?? '';
      return (shown.get(turn.id) ?? text).trim() === text.trim()
        ? []
        : [`turn ${turn.id} shows another text than it keeps`];
    });
}

/** I10: nothing is under way any more. */
export function nothingIsLeft(seen: Observation): string[] {
  return [...seen.left, ...seen.workspace.temporary.map((name) => `the temporary file ${name}`)];
}

/** I12: a step is asked for again only when a blow fell between, and never once it is recorded. */
export function boughtOnce(seen: Observation): string[] {
  const wrong = requestsAgain(seen)
    .filter(({ cause }) => cause === 'none')
    .map(
      ({ name, before, again }) => `${name} was asked for in requests ${before} and ${again} without a blow between`,
    );
  if (seen.strikes.some(({ kind }) => kind === 'freeze')) return wrong; // what thaws may have decided to ask before it froze
  const late = of(seen, 'asked').filter(
    (line) => line.wall > (recordedAt(seen, line) ?? Number.POSITIVE_INFINITY) + 50,
  );
  return [
    ...wrong,
    ...boughtForNothing(seen),
    ...late.map(({ turn, step }) => `step ${step} of ${turn} was asked for again although it was recorded`),
  ];
}

/** An answer that came whole and was never recorded, though nobody stopped its turn. */
function boughtForNothing(seen: Observation): string[] {
  const steps = groupBy(of(seen, 'asked'), ({ turn, step }) => `step ${step} of ${turn}`);
  return [...steps].flatMap(([name, [asked]]) => {
    const turn = asked && turnOfNumber(seen, asked.turn);
    if (!turn || wasStopped(seen, turn) || recordedAt(seen, asked) !== undefined) return [];
    return [`${name} was answered and never recorded`];
  });
}

interface RequestAgain {
  name: string;
  before: number;
  again: number;
  /**
   * `false alarm`: the engine gave the step away because no heartbeat came, though nobody was killed: the machine was too busy. One
   * more bought answer is the price; how often it happens is reported.
   */
  cause: 'blow' | 'false alarm' | 'none';
}

export function requestsAgain(seen: Observation): RequestAgain[] {
  const steps = groupBy(of(seen, 'asked'), ({ turn, step }) => `step ${step} of ${turn}`);
  return [...steps].flatMap(([name, asked]) =>
    asked.slice(1).map((again, index): RequestAgain => {
      const before = asked[index] ?? again;
      const struck = seen.strikes.some((strike) => reaches(strike, before.at, again.at));
      const cause = struck ? 'blow' : isFalseAlarm(seen, again) ? 'false alarm' : 'none';
      return { name, before: before.request, again: again.request, cause };
    }),
  );
}

function isFalseAlarm(seen: Observation, { turn, step }: Of<'asked'>): boolean {
  const turnId = turnOfNumber(seen, turn)?.id;
  const tried = seen.attempts.find((candidate) => candidate.turnId === turnId && candidate.step === step);
  // Of several failures only the last is known: whoever was overtaken was overtaken by the attempt that followed a timeout.
  return tried?.lastFailure === 'timeout' || (tried?.lastFailure === 'Overtaken' && tried.attempts > 2);
}

/** It fell, or its victim was still away, between these two moments. */
function reaches({ at, until }: Strike, from: number, to: number): boolean {
  return until + 50 >= from && at - 50 <= to;
}

/** When the step of this request was recorded, by the number that names its turn. */
function recordedAt(seen: Observation, asked: Of<'asked'>): number | undefined {
  const turn = turnOfNumber(seen, asked.turn);
  return seen.store.steps.find(({ turnId, step }) => turnId === turn?.id && step === asked.step)?.recordedAt;
}

/** The turn that a number belongs to: a person's message by its row, a child by the call that spawned it. */
export function turnOfNumber({ store }: Observation, number: string): TurnSeen | undefined {
  const row = store.inbox.find(({ text, kind }) => kind === 'message' && text.startsWith(`#${number} `));
  return store.turns.find(({ id }) => id === row?.turnId);
}

function groupBy<Item>(items: readonly Item[], nameOf: (item: Item) => string): Map<string, Item[]> {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const group = groups.get(nameOf(item));
    if (group) group.push(item);
    else groups.set(nameOf(item), [item]);
  }
  return groups;
}
