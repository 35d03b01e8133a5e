// The stand-in that answers while no provider is configured: it follows simple orders with real tools, says what it is, and
// reports what the tools said. A pure function of the request, so a repeated request is answered alike.
import { setImmediate as nextTick } from 'node:timers/promises';
import { notesIn, wordsOfPerson } from '../markers.js';
import type { ModelCall, ModelMessage, ModelProvider, ModelReply, ModelRequest } from '../model.js';
import { isStep, type PlannedStep, planOf } from './demo-plan.js';

const whatItIs =
  "I am durabot's built-in demo model, a stand-in that follows simple orders and understands nothing else. Connect a real model with `durabot setup`.";
const whatItCan = `I can do this, one after the other when you write "then" between:
- list files, read notes.md, find report, search "milk"
- write "Milk and bread" to list.md, replace "Milk" with "Tea" in list.md
- run date, wait 5 seconds
- ask a helper to read notes.md, in the background run sleep 60`;

export function createDemoProvider(): ModelProvider {
  return {
    name: 'demo',
    async generate(request, onDelta, signal): Promise<ModelReply> {
      signal.throwIfAborted();
      const { text, calls } = decideReply(request);
      for (const piece of text.match(/\S+\s*|\s+/g) ?? []) {
        await nextTick();
        signal.throwIfAborted();
        onDelta(piece);
      }
      return {
        text,
        calls,
        finishReason: calls.length > 0 ? 'tool calls' : 'stop',
        usage: usageOf(request, text, calls),
      };
    },
  };
}

interface Done {
  step: PlannedStep;
  result: string;
}

interface Reply {
  text: string;
  calls: ModelCall[];
}

function decideReply({ messages, tools }: ModelRequest): Reply {
  const turn = messages.slice(messages.findLastIndex(isAnswer) + 1);
  const said = turn.flatMap((message) => (message.role === 'user' ? [message.text] : []));
  const plan = said.flatMap((text) => planOf(wordsOfPerson(text)));
  const offered = new Set(tools.map((tool) => tool.name));
  const steps = plan.filter(isStep);
  const { done, open } = progressOf(steps, turn);
  const missing = open.filter((step) => !offered.has(step.tool));
  const possible = open.filter((step) => offered.has(step.tool));

  if (tools.length === 0 && steps.length > 0) return words(closing(done, open));
  const [next] = possible;
  if (next) return { text: '', calls: callsFor(next, possible, turn) };
  const notUnderstood = plan.flatMap((part) => (isStep(part) ? [] : [part.notUnderstood]));
  const notes = said.flatMap(notesIn);
  if (steps.length === 0 && notes.length > 0) return words(['A helper reports:', ...notes.map(shortened), whatItIs]);
  if (steps.length === 0) return words([whatItIs, whatItCan]);
  return words([
    done.map(lineOf).join('\n'),
    ...missing.map((step) => `I could not ${step.title}: the tool ${step.tool} is not offered here.`),
    ...notUnderstood.map((part) => `I did not understand: ${shortened(part)}`),
    whatItIs,
  ]);
}

function isAnswer(message: ModelMessage): boolean {
  return message.role === 'assistant' && message.calls.length === 0;
}

/** What has been carried out already is read from the turn's calls. One that was skipped is made again. */
function progressOf(
  steps: readonly PlannedStep[],
  turn: readonly ModelMessage[],
): { done: Done[]; open: PlannedStep[] } {
  const results = new Map(turn.flatMap((message) => (message.role === 'tool' ? [[message.callId, message.text]] : [])));
  const made = turn
    .flatMap((message) => (message.role === 'assistant' ? message.calls : []))
    .map((call) => ({ key: keyOf(call.name, call.arguments), result: results.get(call.id) ?? '' }))
    .filter(({ result }) => !/^(?:Error: )?skipped\b/i.test(result));
  const done: Done[] = [];
  const open: PlannedStep[] = [];
  for (const step of steps) {
    const at = made.findIndex(({ key }) => key === keyOf(step.tool, JSON.stringify(step.args)));
    const [found] = at < 0 ? [] : made.splice(at, 1);
    if (found) done.push({ step, result: found.result });
    else open.push(step);
  }
  return { done, open };
}

function keyOf(tool: string, args: string): string {
  return `${tool} ${args}`;
}

/** One call a step, but for helpers in a row, who work side by side. */
function callsFor(next: PlannedStep, possible: readonly PlannedStep[], turn: readonly ModelMessage[]): ModelCall[] {
  const end = possible.findIndex((step) => step.tool !== 'spawn');
  const together = next.tool === 'spawn' ? possible.slice(0, end < 0 ? undefined : end) : [next];
  return together.map(({ tool, args }, i) => ({
    id: `demo_${turn.length}_${i}`,
    name: tool,
    arguments: JSON.stringify(args),
  }));
}

function words(parts: readonly string[]): Reply {
  return { text: parts.filter((part) => part !== '').join('\n\n'), calls: [] };
}

function closing(done: readonly Done[], open: readonly PlannedStep[]): string[] {
  const todo = open.map((step) => step.title).join(', then ');
  return [
    'This turn has reached its limit, so I stop here.',
    done.length > 0 ? `Done:\n${done.map(lineOf).join('\n')}` : 'Nothing was done.',
    open.length > 0 ? `Still open: ${todo}.\nTo go on, send me: ${todo}` : 'Nothing is open.',
    whatItIs,
  ];
}

function lineOf({ step, result }: Done): string {
  if (/^Error\b/.test(result)) return `- ${step.title}: failed. ${shortened(result.replace(/^Error:?\s*/, ''))}`;
  const quote = shortened(result);
  return quote.includes('\n') ? `- ${step.title}:\n${quote}` : `- ${step.title}: ${quote || 'done, no output'}`;
}

/** The beginning, and how much more there is. */
function shortened(text: string): string {
  const lines = text.trim().split('\n');
  const quote = lines.slice(0, 12).join('\n').slice(0, 600);
  const left = text.trim().length - quote.length;
  return left > 0 ? `${quote} … (${left} more characters)` : quote;
}

function usageOf(request: ModelRequest, text: string, calls: readonly ModelCall[]) {
  const rough = (value: unknown) => Math.ceil(JSON.stringify(value).length / 4);
  return {
    inputTokens: rough([request.system, request.messages, request.tools]),
    outputTokens: rough([text, calls]),
    cachedTokens: 0,
    reasoningTokens: 0,
  };
}
