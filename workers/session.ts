// `durabot session …`: the conversations from outside of them.
import { writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { lastExchange } from '../channels/terminal/last-exchange.js';
import { toPlainText } from '../channels/terminal/plain-text.js';
import { createStyle } from '../channels/terminal/style.js';
import {
  type ConversationLine,
  listConversations,
  readTranscript,
  rootConversationOf,
  terminalChatOf,
} from '../store/overview.js';
import { isOpen } from '../store/rows.js';
import { columns, minuteIn } from './columns.js';
import { type CommandContext, CommandFailure, exitCodes } from './command.js';
import { openBase } from './compose.js';
import type { Config } from './config.js';
import { knownConversation, nameOf } from './known-conversation.js';
import { openLocalStack } from './local-stack/stack.js';
import { withReader } from './reader.js';
import { openStandby, type Standby } from './standby.js';
import { toShown, transcriptLines } from './transcript.js';

type Words = Pick<CommandContext, 'print' | 'say'>;
interface Printing extends Words {
  json: boolean;
}

export function listSessions(config: Config, { json, print, say }: Printing): Promise<void> {
  return withReader(config, say, async (reader) => {
    const conversations = await listConversations(reader);
    if (json) return print(JSON.stringify(conversations.map(toJson)));
    if (conversations.length === 0) return say('There is no conversation yet. Begin one with: durabot shell');
    const minute = minuteIn(config.timezone);
    const rows = conversations.map((one) => [
      one.id,
      one.chat === null ? one.channel : `${one.channel}:${one.chat}`,
      one.state,
      minute(one.lastActivity),
      toPlainText(one.title ?? '').replace(/\s+/g, ' '),
    ]);
    for (const line of columns([['id', 'chat', 'state', 'last activity', 'title'], ...rows])) print(line);
  });
}

/** Scripts rely on these names. */
function toJson({ id, channel, chat, title, state, activeTurnId, lastActivity }: ConversationLine) {
  return { id, channel, chat, title, state, turn: activeTurnId, lastActivity };
}

export function showSession(
  config: Config,
  name: string,
  { json, last, print, say }: Printing & { last: number | undefined },
): Promise<void> {
  return withReader(config, say, async (reader) => {
    const conversation = await knownConversation(reader, name);
    const all = (await readTranscript(reader, { conversationId: conversation.id })).map(toShown);
    const messages = last === undefined ? all : all.slice(Math.max(0, all.length - last));
    if (json) return print(JSON.stringify(messages));
    const title = toPlainText(conversation.title ?? '').replace(/\s+/g, ' ');
    print(
      `Conversation ${conversation.id}, ${conversation.channel}:${conversation.chat ?? ''}, ${conversation.state}: ${title}`,
    );
    for (const line of transcriptLines(
      messages,
      createStyle(process.stdout.isTTY && process.stdout.hasColors()),
      config.timezone,
    ))
      print(line);
  });
}

export function resumeSession(config: Config, name: string, { print, say }: Words): Promise<void> {
  return withReader(config, say, async (reader) => {
    const conversation = await knownConversation(reader, name);
    const before = await lastExchange(
      { overview: { transcript: (query) => readTranscript(reader, query) } },
      conversation,
      createStyle(process.stdout.isTTY && process.stdout.hasColors()),
    );
    if (before) print(`${before}\n`);
    const chat = await terminalChatOf(reader, conversation.id);
    if (chat !== null) print(`durabot shell --resume ${conversation.id}`);
    else print(`It goes on in ${conversation.channel}; durabot session show ${conversation.id} shows all of it.`);
  });
}

export function exportSession(
  config: Config,
  name: string,
  out: string | undefined,
  { print, say }: Words,
): Promise<void> {
  return withReader(config, say, async (reader) => {
    const conversation = await knownConversation(reader, name);
    const messages = (await readTranscript(reader, { conversationId: conversation.id })).map(toShown);
    const text = JSON.stringify(
      { format: 'durabot conversation', version: 1, ...toJson(conversation), messages },
      null,
      2,
    );
    if (out === undefined) return print(text);
    await writeFile(out, `${text}\n`, { mode: 0o600, flag: 'wx' }).catch((error: NodeJS.ErrnoException) => {
      const why = error.code === 'EEXIST' ? 'is there already' : `cannot be written (${error.code})`;
      throw new CommandFailure(`${out} ${why}. Choose another file with --out.`);
    });
    say(`Wrote ${messages.length} messages to ${out}.`);
  });
}

export async function deleteSession(config: Config, name: string, yes: boolean, words: Words): Promise<void> {
  await withGateway(config, words, async (standby, base) => {
    const conversation = await knownConversation(base, name);
    if (!yes) await confirmDeletion(conversation);
    if (!(await standby.store.conversations.remove(conversation.id)))
      throw new CommandFailure(
        `Conversation ${conversation.id} has an open turn. Stop it first: durabot session kill ${nameOf(conversation)}`,
      );
    words.say(`Deleted conversation ${conversation.id} (${nameOf(conversation)}) with its history.`);
  });
}

async function confirmDeletion({ id, title, lastSeq }: ConversationLine): Promise<void> {
  if (!process.stdin.isTTY)
    throw new CommandFailure('Deleting cannot be undone. Say --yes to do it without a question.', exitCodes.wrongUse);
  const readline = createInterface({ input: process.stdin, output: process.stderr });
  const question = `Delete conversation ${id} ("${toPlainText(title ?? '')}") with its ${lastSeq} turns for good? [y/N] `;
  const answer = await readline.question(question).catch(() => '');
  readline.close();
  if (!/^y(es)?$/i.test(answer.trim())) throw new CommandFailure('Nothing was deleted.');
}

interface StopOptions extends Printing {
  cancelReplies: boolean;
}

/** Stops everything open in these conversations and tells what it was. */
export async function stopSessions(
  config: Config,
  choose: (
    running: ConversationLine[],
    find: (name: string) => Promise<ConversationLine>,
  ) => Promise<ConversationLine[]>,
  { cancelReplies, json, print, say }: StopOptions,
): Promise<void> {
  await withGateway(config, { print, say }, async (standby, base) => {
    const running = (await listConversations(base)).filter(({ state }) => state !== 'idle');
    const chosen = await choose(running, (name) => knownConversation(base, name));
    for (const { id, kind } of chosen) if (kind === 'subagent') await refuseSubagent(base, id);
    const hopeless = (await standby.otherWorkers()) === 0;
    const stopped: string[] = [];
    let cancelled = 0;
    for (const { id } of chosen) {
      const { targets, claimed, cancelledReplies } = await standby.store.conversations.stop(id, { cancelReplies });
      cancelled += cancelledReplies;
      stopped.push(...targets.map(({ turnId }) => turnId));
      // Not awaited: what a stop follows to its end goes on while the next conversation is stopped.
      for (const target of targets) standby.finishStop(target, hopeless).catch(() => {}); // it never rejects, and the sweep does the same
      for (const turn of claimed) await standby.engine.startTurn(turn);
    }
    const left = await untilEnded(standby, stopped);
    if (json) print(JSON.stringify({ stopped, cancelledReplies: cancelled, stillOpen: left }));
    else print(toSentence(stopped, cancelled));
    if (left.length > 0)
      throw new CommandFailure(
        `Still open: ${left.join(', ')}. They are marked and end as soon as the engine answers.`,
      );
  });
}

async function refuseSubagent(base: Parameters<typeof rootConversationOf>[0], id: string): Promise<void> {
  const root = await rootConversationOf(base, id);
  throw new CommandFailure(
    `Conversation ${id} belongs to a subagent. Stop the conversation that it works for: durabot session kill ${root}`,
  );
}

function toSentence(stopped: readonly string[], cancelled: number): string {
  const replies = cancelled === 0 ? '' : ` ${cancelled} ${cancelled === 1 ? 'reply was' : 'replies were'} cancelled.`;
  if (stopped.length === 0) return `Nothing is running.${replies}`;
  const [turn, ...more] = stopped;
  if (more.length === 0) return `Stopped turn ${turn}.${replies}`;
  return `Stopped ${stopped.length}: ${stopped.join(', ')}.${replies}`;
}

const patienceMs = 15_000;

async function untilEnded({ store }: Standby, turnIds: readonly string[]): Promise<string[]> {
  const until = performance.now() + patienceMs;
  let left = [...turnIds];
  for (;;) {
    const turns = await Promise.all(left.map((turnId) => store.turns.find(turnId)));
    left = left.filter((_, index) => turns[index] && isOpen(turns[index].state));
    if (left.length === 0 || performance.now() > until) return left;
    await pause(50);
  }
}

type Work = (standby: Standby, base: Awaited<ReturnType<typeof openBase>>) => Promise<void>;

async function withGateway(config: Config, { say }: Words, work: Work): Promise<void> {
  const stack = await openLocalStack({ settings: config.stack, say });
  const base = await openBase({ config, servers: stack, command: 'session' });
  const standby = await openStandby({ base, stack, command: 'session', say });
  try {
    await standby.begin('never');
    await work(standby, base);
  } finally {
    await standby.close();
    await base.close();
  }
}
