// What the model reads of a command: how it ended, and head and tail of what it wrote.
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { failure, success, type ToolResult } from '../tool.js';
import { type ExitRecord, execFolder, type FinalExecState } from './folder.js';
import { type KeptStream, readKeptOutput } from './kept-output.mjs';

/** Its call's own limit is lost with the exit file. */
const lostOutputChars = 10_000;

export interface ExecOutput {
  stdout: KeptStream;
  stderr: KeptStream;
}

/** What the command has written so far, bounded; also while it runs, and after its supervisor was killed. */
export function readOutput(dataDir: string, key: string): ExecOutput {
  const folder = join(execFolder(dataDir, key), 'output');
  return { stdout: readKeptOutput(join(folder, 'stdout')), stderr: readKeptOutput(join(folder, 'stderr')) };
}

/**
 * What the ledger takes down for a call, for whoever records it: the attempt that ran it, or who settles it later. Throws for a
 * call without a folder.
 */
export function toResult(dataDir: string, key: string, state: FinalExecState): ToolResult {
  switch (state.kind) {
    case 'exited':
      return toToolResult(state.exit, readOutput(dataDir, key));
    case 'never':
      return { ...failure('the command did not run: its turn was stopped before it began.'), outcome: 'not run' };
    case 'lost': {
      const output = withinLimit(readOutput(dataDir, key), lostOutputChars);
      const text =
        '`exec` was interrupted; it may or may not have taken effect. Check before repeating it. Output so far:';
      return { ...failure(`${text}\n${output}`), outcome: 'unknown' };
    }
    case 'no folder':
      throw new Error('The folder of the call was removed while it was followed');
    default:
      return state satisfies never;
  }
}

/**
 * The same text on every attempt: nothing in it depends on how long the command took. A command that ends by itself is a
 * success whatever its exit code, which the model can judge better than we can.
 */
export function toToolResult(exit: ExitRecord, output: ExecOutput): ToolResult {
  const written = withinLimit(output, exit.maxOutputChars);
  if (exit.ended === 'by itself') return success(`${howItExited(exit)}\n${written}`);
  if (exit.ended === 'not started') return failure(`the command could not be started. ${exit.cause ?? written}`);
  return failure(`${whyItWasEnded(exit)} The command and all that it started was ended. Output so far:\n${written}`);
}

function howItExited({ exitCode, signal }: ExitRecord): string {
  if (exitCode === null) return `Ended by signal ${signal}.`;
  const reason: Record<number, string> = {
    137: ' (SIGKILL)',
    152: ' (SIGXCPU: its processor time was used up)',
    153: ' (SIGXFSZ: a file grew beyond the limit)',
  };
  return `Exit code ${exitCode}${reason[exitCode] ?? ''}.`;
}

function whyItWasEnded({ ended, timeLimitMs, limits }: ExitRecord): string {
  switch (ended) {
    case 'time over':
      return `time over after ${timeLimitMs / 1000} s. Give a longer \`timeout\` (up to 1800) or do less at once.`;
    case 'over memory':
      return `more memory than the ${inMebibytes(limits.memoryBytes)} MiB that a command may use.`;
    case 'too many processes':
      return `more than the ${limits.processes} processes that a command may run.`;
    case 'disk almost full':
      return `the disk is almost full: less than ${inMebibytes(limits.minFreeBytes)} MiB are free.`;
    default:
      return 'the command was stopped.';
  }
}

function inMebibytes(bytes: number): number {
  return Math.round(bytes / 1024 ** 2);
}

function withinLimit({ stdout, stderr }: ExecOutput, maxChars: number): string {
  const [out, err] = [toText(stdout), toText(stderr)];
  // Each may have half; what one does not need, the other gets.
  const errChars = Math.min(lengthOf(err), Math.max(Math.floor(maxChars / 2), maxChars - lengthOf(out)));
  const parts = [
    lengthOf(out) > 0 ? `stdout:\n${cut(out, maxChars - errChars)}` : '',
    lengthOf(err) > 0 ? `stderr:\n${cut(err, errChars)}` : '',
  ].filter((part) => part !== '');
  return parts.join('\n') || '(no output)';
}

interface CutText {
  head: string;
  omittedBytes: number;
  tail: string;
}

function toText({ head, omitted, tail }: KeptStream): CutText {
  return { head: readable(head), omittedBytes: omitted, tail: readable(tail) };
}

/** Colours are noise for a model, and PostgreSQL keeps no NUL. */
function readable(bytes: Buffer): string {
  return stripVTControlCharacters(bytes.toString('utf8')).replaceAll('\0', '\ufffd');
}

function lengthOf({ head, tail }: CutText): number {
  return head.length + tail.length;
}

/** Keeps the beginning and the end. */
function cut({ head, omittedBytes, tail }: CutText, maxChars: number): string {
  if (omittedBytes === 0 && head.length + tail.length <= maxChars) return head + tail;
  const rest = omittedBytes === 0 ? head : tail;
  const first = head.slice(0, Math.ceil(maxChars / 2)).toWellFormed();
  const last = rest
    .slice(Math.max(rest.length - Math.floor(maxChars / 2), omittedBytes === 0 ? first.length : 0))
    .toWellFormed();
  const omittedChars = head.length + tail.length - first.length - last.length;
  const bytes = omittedBytes > 0 ? `, ${omittedBytes} bytes before them` : '';
  return `${first}\n[… cut: ${omittedChars} characters${bytes} left out; write to a file and read that …]\n${last}`;
}
