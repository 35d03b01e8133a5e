// The chat of a person at a terminal: what is typed is accepted and shown, turns are shown as they go on, commands act at once.
import { createInterface } from 'node:readline';
import type { ReadStream, WriteStream } from 'node:tty';
import type { Store } from '../../store/index.js';
import type { Listener } from '../../store/listener.js';
import type { TurnSettings } from '../../store/rows.js';
import type { Accept } from '../channel.js';
import { helpText, type Nearest, parseCommand } from '../commands.js';
import { keysHelp, terminalCommands } from './chat-commands.js';
import { createChatLink } from './chat-link.js';
import { type ConversationFollower, followConversation } from './follow-conversation.js';
import { openHistoryFile } from './history-file.js';
import { lastExchange } from './last-exchange.js';
import { createLineInput } from './line-input.js';
import { toPlainText } from './plain-text.js';
import { createScreen } from './screen.js';
import type { Style } from './style.js';
import { createTurnView, type TurnView } from './turn-view.js';

/** What a chat is handed about models, which a channel does not know. */
export interface ModelWords {
  /** For /model alone: what answers now, and what could. */
  list(chosen: string | undefined): string;
  /** The name to use from now on, or a sentence why not. */
  choose(name: string): { name: string } | { reason: string };
}

export interface ChatDeps {
  store: Store;
  listener: Listener;
  accept: Accept;
  nearest: Nearest;
  models: ModelWords;
  /** For /status. */
  status(): Promise<string>;
  onError(message: string, error: unknown): void;
}

export interface ChatOptions {
  /** Name of the terminal chat. */
  chat: string;
  /** Flags of the command line: they hold for every message of this process. */
  settings: TurnSettings;
  /** Show text while it is written, and not only whole answers. */
  stream: boolean;
  greeting: readonly string[];
  historyPath: string;
  style: Style;
  input: ReadStream;
  output: WriteStream;
  /** Aborts when the chat has to end; its reason is said if it is an error. */
  signal: AbortSignal;
}

/** A chat that can be told things from outside while it runs. */
export interface Chat {
  say(line: string): void;
  /** Resolves when the person leaves or `signal` aborts. The turn that runs is left alone. */
  ended: Promise<void>;
}

const prompt = '› ';
const tickMs = 1_000;
const againMs = 3_000;

export function openChat(deps: ChatDeps, options: ChatOptions): Chat {
  const { store, onError } = deps;
  const { chat, style, input, output, signal } = options;
  const history = openHistoryFile(options.historyPath);
  const readline = createInterface({
    input,
    output,
    prompt,
    history: history.lines,
    historySize: 1_000,
    removeHistoryDuplicates: true,
    crlfDelay: Number.POSITIVE_INFINITY,
    escapeCodeTimeout: 50,
  });
  const screen = createScreen(readline, output);
  const leaving = new AbortController();
  let settings = options.settings;
  let conversationId: string | undefined;
  /** Kept with the conversation; a flag of this process, or a choice made here, wins. */
  let chosenModel: string | undefined;
  const link = createChatLink({
    accept: deps.accept,
    chat,
    settings: () => settings,
    onAway: () => remark('The store does not answer. Your message is tried again until it is kept.'),
    signal: leaving.signal,
  });
  const remark = (text: string) => screen.print(style('dim', toPlainText(text)));

  let follower: ConversationFollower | undefined;
  let view: TurnView | undefined;
  let viewSince = 0;
  let stopping = false;
  const drawLive = () => {
    const seconds = Math.floor((performance.now() - viewSince) / 1_000);
    const working = stopping ? 'stopping' : `working${seconds > 1 ? ` ${seconds} s` : ''}, Ctrl-C stops`;
    screen.setLive([
      ...(view?.liveLines() ?? []),
      ...(view ? [style('dim', `… ${working}`)] : []),
      ...lineInput.lines().map((line) => `  ${line}`.slice(0, screen.columns - 1)),
    ]);
  };
  const ticking = setInterval(drawLive, tickMs);

  const lineInput = createLineInput({
    readline,
    input,
    output,
    onEntered: (line) => {
      history.add(line);
      screen.entered(line);
    },
    onLines: drawLive,
    onMessage: (text) => {
      drawLive();
      // Who types ahead is shown below what was said before.
      if (text.trim() !== '') begun.then(() => enter(text)).catch((error: unknown) => failed(error));
    },
  });

  function enter(text: string): Promise<void> {
    screen.print(style('bold', prompt + toPlainText(text).replaceAll('\n', '\n  ')));
    drawLive();
    return carryOut(text);
  }

  function failed(error: unknown): void {
    if (leaving.signal.aborted) return;
    onError('A line of the chat failed', error);
    remark(`That failed: ${error instanceof Error ? error.message : String(error)}`);
  }

  async function carryOut(text: string): Promise<void> {
    const parsed = parseCommand(text, terminalCommands, deps.nearest);
    if (parsed.kind === 'refused') return remark(parsed.sentence);
    if (parsed.kind === 'message') return sendMessage(text);
    switch (parsed.name) {
      case 'help':
        return remark(`${helpText(terminalCommands)}\n\n${keysHelp}\n`);
      case 'new':
        return act('/new', 'new');
      case 'stop':
        return act('/stop', 'stop');
      case 'status':
        return remark(`${await deps.status()}\n`);
      case 'model':
        return chooseModel(parsed.rest);
      default:
        leaving.abort();
    }
  }

  async function sendMessage(text: string): Promise<void> {
    const accepted = await link.send(text);
    follow(accepted.conversationId, 0);
    if (accepted.turnId === null) follower?.expect(accepted.inboxId);
    follower?.look();
  }

  async function act(text: string, command: 'stop' | 'new'): Promise<void> {
    const accepted = await link.send(text, command);
    follow(accepted.conversationId, 0);
    const { acted } = accepted;
    if (!acted) return;
    if (acted.stopped.length > 0) stopping = true; // what was stopped says so itself
    if (acted.stopped.length === 0 || command === 'new') remark(acted.reply);
    drawLive();
  }

  async function chooseModel(name: string): Promise<void> {
    if (name === '') return remark(`${deps.models.list(settings.model ?? chosenModel)}\n`);
    const choice = deps.models.choose(name);
    if ('reason' in choice) return remark(choice.reason);
    settings = { ...settings, model: choice.name };
    if (conversationId) await store.conversations.setModel(conversationId, choice.name);
    remark(`${choice.name} answers in this chat from the next turn on.`);
  }

  function follow(id: string, afterSeq: number): void {
    conversationId = id;
    follower ??= followConversation({
      store,
      listener: deps.listener,
      conversationId: id,
      afterSeq,
      onError,
      watcher: {
        turnBegan(_turnId, calls) {
          stopping = false;
          viewSince = performance.now();
          view = createTurnView({ screen, style, onChange: drawLive }, calls);
          drawLive();
        },
        text: (piece) => options.stream && view?.text(piece),
        call: (call) => view?.call(call),
        calls: (calls) => view?.calls(calls),
        turnEnded(report) {
          const ended = view;
          view = undefined;
          stopping = false;
          ended?.end(report);
          drawLive();
        },
        attached: (joined) => remark(joined ? '(joined the running turn)' : '(answered in a turn of its own)'),
        queued: () => remark('Queued: no worker has taken it up yet. The message is kept and will be answered.'),
      },
    });
  }

  async function begin(): Promise<void> {
    for (const line of options.greeting) remark(line);
    const known = await store.overview.conversation(chat);
    if (known) {
      const before = await lastExchange(store, known, style);
      if (before) screen.print(before);
      chosenModel = known.model ?? undefined;
      follow(known.id, known.activeTurnId ? known.lastSeq - 1 : known.lastSeq);
    }
    screen.print('');
  }

  let lastInterrupt = Number.NEGATIVE_INFINITY;
  readline.on('SIGINT', () => {
    const again = performance.now() - lastInterrupt < againMs || stopping;
    if (lineInput.clear()) {
      lastInterrupt = Number.NEGATIVE_INFINITY;
      return;
    }
    if (again) return leaving.abort();
    lastInterrupt = performance.now();
    if (view) {
      stopping = true;
      drawLive();
      link.send('/stop', 'stop').catch((error: unknown) => onError('The turn could not be stopped', error));
    } else remark('Ctrl-C again leaves.');
  });
  readline.on('close', () => leaving.abort());
  signal.addEventListener('abort', () => leaving.abort(), { once: true });
  if (signal.aborted) leaving.abort();

  const left = new Promise<void>((resolve) => {
    if (leaving.signal.aborted) resolve();
    leaving.signal.addEventListener('abort', () => resolve(), { once: true });
  });
  const begun = begin();
  async function run(): Promise<void> {
    await begun;
    await left;
    clearInterval(ticking);
    screen.setLive([]);
    lineInput.close();
    screen.close();
    readline.close();
    await follower?.close();
  }
  return { say: remark, ended: run() };
}
