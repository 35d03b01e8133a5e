// `durabot explain <turn>`: what happened, step by step.
import { toPlainText } from '../channels/terminal/plain-text.js';
import { findConversation } from '../store/overview.js';
import { readTurnHistory, type StepLine, type TurnHistory } from '../store/turn-history.js';
import { columns, duration, instantIn, minuteIn } from './columns.js';
import { type CommandContext, CommandFailure } from './command.js';
import type { Config } from './config.js';
import { findLocalStack } from './local-stack/stack.js';
import { withReader } from './reader.js';

/** `name`: a turn's id, or a conversation, which means its newest turn. */
export function explainTurn(
  config: Config,
  name: string,
  { json, print, say }: Pick<CommandContext, 'print' | 'say'> & { json: boolean },
): Promise<void> {
  return withReader(config, say, async (reader) => {
    const history = (await readTurnHistory(reader, name)) ?? (await newestOf(reader, name));
    if (!history)
      throw new CommandFailure(
        `There is no turn "${name}". A turn's id looks like 12-3; "durabot session ls" shows the conversations.`,
      );
    const run = await runLink(config, history.workflowId);
    if (json) print(JSON.stringify({ ...history, run: run ?? null }));
    else for (const line of historyLines(history, run, config.timezone)) print(line);
  });
}

async function newestOf(reader: Parameters<typeof findConversation>[0], name: string): Promise<TurnHistory | null> {
  const conversation = await findConversation(reader, name);
  if (!conversation || conversation.lastSeq === 0) return null;
  return readTurnHistory(reader, `${conversation.id}-${conversation.lastSeq}`);
}

/** Where the run can be read; unknown for an engine that is not ours, or does not run. */
async function runLink({ stack }: Config, workflowId: string): Promise<string | undefined> {
  const { temporal } = await findLocalStack(stack);
  if (!temporal?.uiUrl) return undefined;
  return `${temporal.uiUrl}/namespaces/${encodeURIComponent(temporal.namespace)}/workflows/${encodeURIComponent(workflowId)}`;
}

function historyLines(history: TurnHistory, run: string | undefined, timeZone: string): string[] {
  const instant = instantIn(timeZone);
  const { turnId, parentTurnId, state, reason, closedAt, createdAt } = history;
  const took = closedAt === null ? '' : ` after ${duration(Date.parse(closedAt) - Date.parse(createdAt))}`;
  const what = parentTurnId === null ? '' : `, a subagent of ${parentTurnId}`;
  return [
    `Turn ${turnId}${what}, ${minuteIn(timeZone)(createdAt)}: ${state}${took}${reason ? ` (${reason})` : ''}`,
    `Run  ${run ?? history.workflowId}`,
    '',
    ...history.messages.map(({ at, text, sender }) => `${instant(at)}  ${sender ?? 'message'}: ${excerpt(text)}`),
    ...history.steps.flatMap((step) => stepLines(step, instant)),
    ...waitingLines(history, instant),
    ...history.dropped.map(
      ({ step, model, inputTokens, outputTokens }) =>
        `              step ${step}: an answer of ${model} was paid and dropped (${inputTokens} tokens in, ${outputTokens} out)`,
    ),
    ...(history.markedAt === null ? [] : [`${instant(history.markedAt)}  a stop was asked for`]),
    ...(closedAt === null ? [] : [`${instant(closedAt)}  ${state}`]),
    ...history.deliveries.map(
      ({ source, part, channel, state: sent, tries, sentAt, reason: why }) =>
        `${sentAt === null ? ' '.repeat(12) : instant(sentAt)}  ${source}, part ${part}, to ${channel}: ${sent}${tries > 1 ? ` after ${tries} tries` : ''}${why && sent !== 'sent' ? ` (${why})` : ''}`,
    ),
    '',
    totals(history),
  ];
}

function stepLines(step: StepLine, instant: (at: string) => string): string[] {
  const { openedAt, model, durationMs, firstTokenMs, inputTokens, cachedTokens, outputTokens, estimated, text } = step;
  const first = firstTokenMs === null ? '' : `, first word after ${duration(firstTokenMs)}`;
  const cached = cachedTokens > 0 ? ` (${cachedTokens} from the cache)` : '';
  const tokens = `${estimated ? 'about ' : ''}${inputTokens} tokens in${cached}, ${outputTokens} out`;
  const calls = step.calls.map(({ callId, summary, state, durationMs: took, bytes, childTurnId }) => [
    `              ${callId}`,
    toPlainText(summary),
    [
      state === 'unknown' ? 'may have happened' : state,
      ...(took === null ? [] : [duration(took)]),
      ...(bytes === null ? [] : [`${bytes} bytes`]),
      ...(childTurnId === null ? [] : [`turn ${childTurnId}`]),
    ].join(', '),
  ]);
  return [
    `${instant(openedAt)}  step ${step.step}: ${model ?? 'model'}, ${duration(durationMs)}${first}; ${tokens}, ${cost(step.costMicros)}`,
    ...(text ? [`              said: ${excerpt(text)}`] : []),
    ...columns(calls),
  ];
}

function waitingLines(
  { outage, closedAt, steps, openStep, startedAt }: TurnHistory,
  instant: (at: string) => string,
): string[] {
  if (closedAt !== null) return [];
  if (outage)
    return [
      `${instant(outage.since)}  step ${steps.length + 1}: the model has not answered ${outage.failures} times since; it is tried again`,
    ];
  if (startedAt === null) return ['              waiting for a worker'];
  return openStep !== null && openStep > steps.length ? [`              step ${openStep}: asking the model`] : [];
}

function totals({ steps }: TurnHistory): string {
  const sum = (of: (step: StepLine) => number) => steps.reduce((total, step) => total + of(step), 0);
  const calls = sum((step) => step.calls.length);
  const costs = steps.map((step) => step.costMicros);
  const money = costs.some((one) => one === null) ? null : sum((step) => step.costMicros ?? 0);
  return `${count(steps.length, 'step')}, ${count(calls, 'call')}, ${sum((step) => step.inputTokens)} tokens in, ${sum((step) => step.outputTokens)} out, ${cost(money)}`;
}

function count(number: number, word: string): string {
  return `${number} ${word}${number === 1 ? '' : 's'}`;
}

function cost(micros: number | null): string {
  if (micros === null) return 'price not known';
  return micros === 0 ? 'free' : `$${(micros / 1_000_000).toFixed(6).replace(/0{1,4}$/, '')}`;
}

function excerpt(text: string): string {
  const line = toPlainText(text).trim().replace(/\s+/g, ' ');
  return line.length > 100 ? `"${line.slice(0, 99)}…"` : `"${line}"`;
}
