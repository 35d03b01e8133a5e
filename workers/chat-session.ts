// `shell` and `start`: the chat at this terminal, or through a pipe, on top of a process that works as far as it has to.
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { type ChatDeps, openChat } from '../channels/terminal/chat.js';
import { chatThroughPipe } from '../channels/terminal/piped-chat.js';
import { createStyle } from '../channels/terminal/style.js';
import type { TurnSettings } from '../store/rows.js';
import { startServeInBackground } from './background-serve.js';
import { type CommandContext, CommandFailure, exitCodes } from './command.js';
import { type Base, openBase } from './compose.js';
import type { Config } from './config.js';
import { unknownConversation } from './known-conversation.js';
import { sayWhenSlow } from './local-stack/slow.js';
import { openLocalStack } from './local-stack/stack.js';
import { modelAdvice, modelList, modelWords } from './models.js';
import { nearest } from './settings/nearest.js';
import { openStandby, type Standby, type Work } from './standby.js';
import { openWorkLines, readOpenWork } from './status-text.js';

export interface ChatRequest {
  command: 'shell' | 'start';
  /** Name of the terminal chat, or a conversation's id that has one. */
  chat: string;
  /** The conversation must be there. */
  resume: boolean;
  settings: TurnSettings;
  stream: boolean;
  version: string;
}

interface Session {
  config: Config;
  base: Base;
  standby: Standby;
  chat: string;
  request: ChatRequest;
  signal: AbortSignal;
  words: Pick<CommandContext, 'print' | 'say'>;
}

/** Resolves with the exit code when the person has left. */
export async function chatSession(
  config: Config,
  request: ChatRequest,
  words: Pick<CommandContext, 'print' | 'say'>,
): Promise<number> {
  const { command } = request;
  let say = words.say;
  const stack = await openLocalStack({ settings: config.stack, say });
  const base = await openBase({ config, servers: stack, command });
  const standby = await openStandby({ base, stack, command, say: (line) => say(line) });
  const ending = new AbortController();
  const end = () => ending.abort();
  process.on('SIGTERM', end).on('SIGHUP', end);
  standby.failed.catch((error: unknown) => {
    say(`The worker of this process ended: ${error instanceof Error ? error.message : String(error)}`);
    ending.abort(error);
  });
  try {
    const chat = await findChat(base, standby, request);
    const work: Work = command === 'start' ? 'always' : 'when needed';
    await standby.begin(work);
    const session = { config, base, standby, chat, request, signal: ending.signal, words };
    const isTerminal = process.stdin.isTTY && process.stdout.isTTY;
    if (!isTerminal) return await pipe(session);
    const code = await talk(session, stack.temporalUi, (speak) => {
      say = speak;
    });
    say = words.say;
    await takeLeave(session);
    return code;
  } finally {
    process.off('SIGTERM', end).off('SIGHUP', end);
    await sayWhenSlow(words.say, 'Running calls finish; Ctrl-C leaves at once', () => standby.close());
    await base.close();
  }
}

async function findChat(base: Base, { store }: Standby, { chat, resume }: ChatRequest): Promise<string> {
  const known = await store.overview.conversation(chat);
  if (!known && !resume) return chat;
  if (!known) throw await unknownConversation(base, chat);
  const name = await store.overview.terminalChat(known.id);
  if (name !== null) return name;
  throw new CommandFailure(
    `Conversation ${known.id} belongs to ${known.channel} and is answered there. Look at it with: durabot session show ${known.id}`,
  );
}

function toDeps({ base, standby }: Session): ChatDeps {
  const { models, onError } = base;
  return {
    ...standby,
    nearest,
    models: { list: (chosen) => modelList(models, chosen), choose: (name) => models.find(name) },
    async status() {
      const work = await readOpenWork(base.pool);
      return [`model       ${modelWords(models)}`, ...openWorkLines(work)].join('\n');
    },
    onError,
  };
}

async function talk(
  session: Session,
  ui: string | undefined,
  onOpen: (say: (line: string) => void) => void,
): Promise<number> {
  const { config, base, request, chat, signal } = session;
  const talking = openChat(toDeps(session), {
    chat,
    settings: request.settings,
    stream: request.stream,
    greeting: [
      `durabot ${request.version}, chat "${chat}". /help shows the commands.`,
      `Model: ${config.agent.model === undefined ? modelAdvice(base.models) : modelWords(base.models)}`,
      ...(ui ? [`Runs:  ${ui}`] : []),
    ],
    historyPath: join(config.home, 'data', 'terminal-history'),
    style: createStyle(process.stdout.hasColors()),
    input: process.stdin,
    output: process.stdout,
    signal,
  });
  onOpen(talking.say);
  await talking.ended;
  return signal.aborted && signal.reason instanceof Error && signal.reason.name !== 'AbortError'
    ? exitCodes.failed
    : exitCodes.done;
}

async function pipe(session: Session): Promise<number> {
  const { chat, request, words, signal } = session;
  const answered = await chatThroughPipe(toDeps(session), {
    chat,
    settings: request.settings,
    input: process.stdin,
    print: words.print,
    say: words.say,
    signal,
  });
  return answered ? exitCodes.done : exitCodes.failed;
}

/** Says what sleeps when this worker leaves, and offers to keep it awake. */
async function takeLeave({ config, standby, signal, request, words: { say } }: Session): Promise<void> {
  if (!standby.works() || (await standby.otherWorkers()) > 0) return;
  const open = await standby.store.overview.openTurns();
  if (open.length === 0) {
    if (request.command === 'start')
      say('No worker runs from here on. No turn is open; "durabot serve" keeps durabot awake without a chat.');
    return;
  }
  const what = open.length === 1 ? `turn ${open[0]?.turnId} is` : `${open.length} turns are`;
  say(`No worker runs from here on: ${what} open and will sleep until the next start. Nothing is lost.`);
  if (signal.aborted) return;
  const readline = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await readline.question('Go on in the background ("durabot serve")? [y/N] ').catch(() => '');
  readline.close();
  if (!/^y(es)?$/i.test(answer.trim())) return;
  const pid = await startServeInBackground(config, async () => (await standby.otherWorkers()) > 0);
  say(`"durabot serve" goes on with it (process ${pid}). "durabot down" ends it.`);
}
