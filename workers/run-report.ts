// How `run` tells what became of its turn: the answer alone on stdout, or one line of JSON that scripts rely on; the rest on stderr.
import { toPlainText } from '../channels/terminal/plain-text.js';
import type { TurnReport } from '../store/overview.js';
import { type CommandContext, exitCodes } from './command.js';

export function tellReport(
  report: TurnReport,
  answer: string,
  { json, print, say }: Pick<CommandContext, 'print' | 'say'> & { json: boolean },
): void {
  if (json) {
    print(toLine(report, answer || (report.notice ?? '')));
    return;
  }
  if (answer) print(toPlainText(answer).trimEnd());
  if (report.notice) say(toPlainText(report.notice));
  else if (report.state === 'limit') say('The turn reached one of its limits; the answer says what is left to do.');
}

export function toLine(report: TurnReport, answer: string): string {
  const { inputTokens, outputTokens, costMicros } = report;
  return JSON.stringify({
    conversation: report.conversationId,
    turn: report.turnId,
    workflowId: report.workflowId,
    outcome: report.state,
    answer,
    steps: report.steps,
    toolCalls: report.toolCalls,
    usage: { inputTokens, outputTokens, cost: costMicros === null ? null : costMicros / 1_000_000 },
  });
}

/** A turn at its limit has an answer, but has not done what it was asked: a script must notice. */
export function codeOf({ state }: TurnReport): number {
  if (state === 'answered') return exitCodes.done;
  return state === 'stopped' ? exitCodes.interrupted : exitCodes.failed;
}
