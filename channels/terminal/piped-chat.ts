// A chat without a terminal: each line of the input is a message, answered before the next one is read. The answers, and nothing else,
// go to the output.
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { TurnSettings } from '../../store/rows.js';
import { helpText, parseCommand } from '../commands.js';
import type { ChatDeps } from './chat.js';
import { terminalCommands } from './chat-commands.js';
import { createChatLink } from './chat-link.js';
import { followTurn } from './follow-turn.js';
import { toPlainText } from './plain-text.js';

export interface PipedChatOptions {
  chat: string;
  settings: TurnSettings;
  input: Readable;
  /** An answer. */
  print(text: string): void;
  /** Progress and remarks. */
  say(line: string): void;
  /** Aborts when the chat has to end: the turn that runs is left alone. */
  signal: AbortSignal;
}

/** Resolves at the end of the input, or after /quit; true when every message was answered. */
export async function chatThroughPipe(deps: ChatDeps, options: PipedChatOptions): Promise<boolean> {
  const { chat, input, print, say, signal } = options;
  let settings = options.settings;
  let allAnswered = true;
  const link = createChatLink({
    accept: deps.accept,
    chat,
    settings: () => settings,
    onAway: () => say('The store does not answer; trying again.'),
    signal,
  });

  async function answer(text: string): Promise<void> {
    const accepted = await link.send(text);
    const turnId = await followTurn(
      deps,
      accepted,
      {
        queued: () => say('Queued: no worker has taken it up yet. The message is kept and will be answered.'),
        call({ summary, state }) {
          if (state === 'planned') say(`· ${toPlainText(summary)}`);
          else if (state !== 'done') say(`✗ ${toPlainText(summary)}: ${state}`);
        },
      },
      signal,
    );
    const report = await deps.store.overview.report(turnId);
    if (report?.answer) print(toPlainText(report.answer).trimEnd());
    if (report?.notice) say(toPlainText(report.notice));
    if (report?.state !== 'answered') allAnswered = false;
  }

  /** False: the chat ends here. */
  async function carryOut(text: string): Promise<boolean> {
    const parsed = parseCommand(text, terminalCommands, deps.nearest);
    if (parsed.kind === 'message') await answer(text);
    else if (parsed.kind === 'refused') {
      say(parsed.sentence);
      allAnswered = false;
    } else if (parsed.name === 'quit') return false;
    else if (parsed.name === 'help') print(helpText(terminalCommands));
    else if (parsed.name === 'status') print(await deps.status());
    else if (parsed.name === 'model') chooseModel(parsed.rest);
    else say((await link.send(text, parsed.name === 'new' ? 'new' : 'stop')).acted?.reply ?? '');
    return true;
  }

  function chooseModel(name: string): void {
    if (name === '') {
      print(deps.models.list(settings.model));
      return;
    }
    const choice = deps.models.choose(name);
    if ('reason' in choice) say(choice.reason);
    else settings = { ...settings, model: choice.name };
  }

  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    if (line.trim() !== '' && !(await carryOut(line))) break;
  }
  return allAnswered;
}
