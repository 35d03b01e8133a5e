// `durabot run`: one message, one answer. The message is in our keeping before anything else happens, so a run that is killed and
// started again with the same key finds its turn, or its answer.
import { randomUUID } from 'node:crypto';
import type { Accepted, Incoming } from '../channels/channel.js';
import { followTurn } from '../channels/terminal/follow-turn.js';
import { createPartialText } from '../channels/terminal/partial-text.js';
import { toPlainText } from '../channels/terminal/plain-text.js';
import { isOpen, type TurnSettings } from '../store/rows.js';
import { startServeInBackground } from './background-serve.js';
import { type CommandContext, CommandFailure, exitCodes } from './command.js';
import { type Base, openBase } from './compose.js';
import type { Config } from './config.js';
import { withContext } from './context-messages.js';
import { openLocalStack } from './local-stack/stack.js';
import { modelWords } from './models.js';
import { warningBeforeLeaving } from './open-turns.js';
import { type RunEnd, watchRunEnding } from './run-ending.js';
import { codeOf, tellReport, toLine } from './run-report.js';
import { openStandby, type Standby } from './standby.js';
import { tellChosenModel } from './tell-model.js';
import { forgetVariables, keepVariables } from './turn-variables.js';

export interface RunRequest {
  prompt: string;
  /** The terminal chat; undefined opens a new conversation. */
  chat: string | undefined;
  /** The same key again is the same message. */
  key: string | undefined;
  settings: TurnSettings;
  timeoutMs: number | undefined;
  /** For the commands of this turn. */
  variables: Record<string, string>;
  /** So many of the last messages of the chat `cli` come along. */
  contextMessages: number;
  /** Show the text on stderr while it is written. */
  stream: boolean;
  detach: boolean;
  json: boolean;
  verbose: boolean;
}

const usualChat = 'cli';

type Words = Pick<CommandContext, 'print' | 'say'>;

interface Run extends Words {
  config: Config;
  base: Base;
  standby: Standby;
  request: RunRequest;
  message: Incoming;
}

/** Resolves with the exit code. */
export async function runOnce(config: Config, request: RunRequest, { print, say }: Words): Promise<number> {
  const stack = await openLocalStack({ settings: config.stack, say });
  const base = await openBase({ config, servers: stack, command: 'run' });
  const standby = await openStandby({ base, stack, command: 'run', say });
  const run: Run = { config, base, standby, request, message: toIncoming(request), print, say };
  try {
    await tellChosenModel(config, base.models, say);
    if (request.verbose) say(`Model: ${modelWords(base.models)}; engine: ${stack.temporalUi ?? stack.temporalAddress}`);
    run.message.text = await withContext(standby.store, usualChat, request.contextMessages, request.prompt);
    const accepted = await standby.accept(run.message);
    await keepOwnVariables(run, accepted);
    return request.detach ? await leaveRunning(run, accepted) : await waitForAnswer(run, accepted);
  } finally {
    await standby.close();
    await base.close();
  }
}

/** Nothing is started before `begin`, so the first command of the turn finds them. */
async function keepOwnVariables({ config, request: { variables }, say }: Run, { turnId }: Accepted): Promise<void> {
  if (Object.keys(variables).length === 0) return;
  if (turnId) await keepVariables(config.home, turnId, variables);
  else say('A turn of this chat runs already: the variables of -e do not reach it.');
}

function toIncoming({ prompt, chat, key, settings }: RunRequest): Incoming {
  const externalId = key ?? randomUUID();
  return {
    channel: 'terminal',
    account: 'local',
    chat: chat ?? `run-${key ?? externalId.replaceAll('-', '').slice(0, 12)}`,
    externalId,
    externalUserId: 'owner',
    text: prompt,
    settings,
  };
}

async function waitForAnswer(run: Run, accepted: Accepted): Promise<number> {
  const { base, standby, request, say } = run;
  const standing = accepted.turnId === null ? null : await standby.store.turns.find(accepted.turnId);
  // An answer that stands needs no worker.
  await standby.begin(standing && !isOpen(standing.state) ? 'never' : 'when needed');
  const partial = createPartialText();
  const ending = watchRunEnding(request.timeoutMs, (why) => {
    stopTurn(run, why).catch((error: unknown) => base.onError('The turn could not be stopped', error));
  });
  try {
    const turnId = await Promise.race([
      standby.failed,
      followTurn(
        standby,
        accepted,
        {
          begun: (turn) => request.verbose && say(`Turn ${turn}`),
          queued: () => say('Queued: no worker has taken it up yet. The message is kept and will be answered.'),
          text(piece) {
            partial.add(piece);
            if (request.stream) process.stderr.write(toPlainText(piece.text));
          },
          call: (call) => tellCall(call, say),
        },
        ending.patience,
      ),
    ]);
    await forgetVariables(run.config.home, turnId);
    if (request.stream) say('');
    const report = await standby.store.overview.report(turnId);
    if (!report) throw new CommandFailure('The conversation was deleted before its answer came.');
    tellReport(report, report.answer || partial.text(), { json: request.json, print: run.print, say });
    const why = ending.why();
    return why && report.state === 'stopped' ? codeOfEnd(why) : codeOf(report);
  } catch (error) {
    const why = ending.why();
    if (!why || !ending.patience.aborted) throw error;
    say('The turn has not ended yet. It is marked as stopped and ends as soon as the engine answers.');
    return codeOfEnd(why);
  } finally {
    ending.close();
    const warning = await warningBeforeLeaving(standby).catch(() => undefined);
    if (warning) say(warning);
  }
}

function stopTurn({ standby, message, say }: Run, why: RunEnd): Promise<unknown> {
  say(
    why === 'time'
      ? 'Time is over: stopping the turn.'
      : 'Stopping the turn; what is done so far is kept. Ctrl-C again leaves at once.',
  );
  return standby.accept({ ...message, externalId: `${message.externalId}/stop`, text: '/stop', command: 'stop' });
}

function codeOfEnd(why: RunEnd): number {
  return why === 'time' ? exitCodes.timeOver : exitCodes.interrupted;
}

function tellCall({ summary, state }: { summary: string; state: string }, say: Words['say']): void {
  if (state === 'planned') say(`· ${toPlainText(summary)}`);
  else if (state !== 'done') say(`✗ ${toPlainText(summary)}: ${state}`);
}

async function leaveRunning({ config, standby, request, print, say }: Run, accepted: Accepted): Promise<number> {
  await standby.begin('never');
  if ((await standby.otherWorkers()) === 0) {
    const pid = await startServeInBackground(config, async () => (await standby.otherWorkers()) > 0);
    say(`Started "durabot serve" in the background (process ${pid}); "durabot down" ends it.`);
  }
  // Awaited here, because nobody is left to do it.
  const started = Promise.all(accepted.claimed.map((turn) => standby.engine.startTurn(turn)));
  await started.catch(() => say('Queued: the engine does not answer. The message is kept and will be answered.'));
  const turnId = accepted.turnId ?? (await standby.store.turns.ofMessage(accepted.inboxId));
  const report = turnId ? await standby.store.overview.report(turnId) : null;
  if (request.json && report) {
    print(toLine(report, report.answer));
    return exitCodes.done;
  }
  say(
    turnId
      ? `Accepted as turn ${turnId}. Look at it with:`
      : 'Accepted; it waits for the turn that runs. Look at it with:',
  );
  print(turnId ? `durabot explain ${turnId}` : `durabot session show ${accepted.conversationId}`);
  return exitCodes.done;
}
