// What the model of a kill test says: a pure function of the request. A message carries its own plan, so a repeated request is
// answered alike and any difference is the product's.
import { type Answer, asksFor, type ChatMessage, type ChatRequest, says, together } from '../support/model-script.js';

/** `look` and `fetch` read, `put` is idempotent, `mail` is once; these call the oracle and take about `ms`. */
export type PlannedCall =
  | { tool: 'look' | 'fetch' | 'put' | 'mail'; ms: number }
  | { tool: 'exec'; ms: number }
  | { tool: 'write_file' }
  | { tool: 'spawn'; wait: boolean; plan: Plan };

/** The calls of each step; after the last one comes an answer of about `words` words, a word every `wordMs`. */
export interface Plan {
  steps: PlannedCall[][];
  words?: number;
  wordMs?: number;
}

/** `#7 {plan}`. A child's number is the name of the call that spawned it: `#7.2 {plan}`. */
export function toText(number: number | string, plan: Plan): string {
  return `#${number} ${JSON.stringify(plan)}`;
}

interface Numbered {
  number: string;
  plan: Plan;
}

/** Which turn and step a request belongs to, by what it shows. */
export interface Identified {
  turn: string;
  step: number;
  numbers: string[];
}

export function identify({ messages }: ChatRequest): Identified {
  const turn = messagesOfTurn(messages);
  const numbers = turn.flatMap(plansIn).map(({ number }) => number);
  return {
    // A turn that only hears of a background child has no plan of its own.
    turn: numbers[0] ?? `after ${numbersOf(turn)[0]}`,
    step: 1 + turn.filter(({ tool_calls: calls }) => calls?.length).length,
    numbers,
  };
}

/** The next step of the plans that have none of its calls asked yet, in the order of the messages; then one answer to them all. */
export function answer(request: ChatRequest): Answer {
  const turn = messagesOfTurn(request.messages);
  const asked = namesOfCalls(turn);
  const plans = turn.flatMap(plansIn);
  const manner = { chunkDelayMs: plans[0]?.plan.wordMs ?? 5 };
  for (const { number, plan } of request.tools?.length ? plans : []) {
    let index = 0;
    for (const step of plan.steps) {
      const calls = step.map((call) => ({ call, name: `${number}.${++index}` }));
      const open = calls.filter(({ name }) => !asked.has(name));
      if (open.length > 0)
        return together(...open.map(({ call, name }) => asksFor(call.tool, argumentsOf(call, name), manner)));
    }
  }
  const words = Array.from({ length: plans[0]?.plan.words ?? 3 }, (_, n) => `word${n} `);
  return says(
    [
      `Answered ${numbersOf(turn)
        .map((number) => `#${number}`)
        .join(' ')}. `,
      ...words,
      'End.',
    ],
    manner,
  );
}

/** What followed the last answer, or notice, without calls. */
function messagesOfTurn(messages: readonly ChatMessage[]): ChatMessage[] {
  const last = messages.findLastIndex((message) => message.role === 'assistant' && !message.tool_calls?.length);
  return messages.slice(last + 1);
}

function plansIn({ role, content }: ChatMessage): Numbered[] {
  if (role !== 'user') return [];
  return [...(content ?? '').matchAll(/^#([\d.]+) (\{.*\})$/gm)].map(([, number = '', plan = '']) => ({
    number,
    plan: JSON.parse(plan) as Plan,
  }));
}

/** Of messages with a plan, and of results of background children, which are answered too. */
function numbersOf(turn: readonly ChatMessage[]): string[] {
  const spoken = turn.filter(({ role }) => role === 'user').map(({ content }) => content ?? '');
  return [...new Set(spoken.flatMap((text) => text.match(/(?<=#)\d+(?:\.\d+)*/g) ?? []))];
}

function namesOfCalls(turn: readonly ChatMessage[]): Set<string> {
  const written = turn.flatMap((message) => message.tool_calls ?? []).map((call) => call.function.arguments);
  return new Set(written.flatMap((text) => /\d+(?:\.\d+)+/.exec(text) ?? []));
}

// Each carries its name first, so that it is found again in the request.
function argumentsOf(call: PlannedCall, name: string): unknown {
  switch (call.tool) {
    case 'exec':
      return { command: execCommand(name, call.ms) };
    case 'write_file':
      return { path: `effects/${name}.txt`, content: `written for ${name}\n` };
    case 'spawn':
      return { label: `child ${name}`, task: toText(name, call.plan), wait: call.wait };
    default:
      return { name, ms: call.ms };
  }
}

/** Both ends leave a line with the time, so that a command that ran twice, or too late, shows. */
function execCommand(name: string, ms: number): string {
  const line = (word: string) => `echo "${name} ${word} $(date +%s%3N)" >> exec.log`;
  return `${line('began')}; sleep ${(ms / 1000).toFixed(2)}; ${line('ended')}; echo "ran ${name}"`;
}
