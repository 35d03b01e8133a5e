// From what the model asked for to what the loop may run: ids of our own, arguments validated, policy asked, repeats refused. What
// does not run is answered here, so that every call has a result.
import { createHash } from 'node:crypto';
import { decide, type Rule, toRefusal } from '../../policy/decide.js';
import type { CallPlan } from '../../store/transcript.js';
import { prepareArguments } from '../tools/arguments.js';
import { nearestNames } from '../tools/nearest-names.js';
import type { Tool } from '../tools/tool.js';
import type { ModelCall } from './model.js';

export interface PlanFacts {
  step: number;
  /** What this turn was offered, by name. */
  tools: ReadonlyMap<string, Tool>;
  rules: readonly Rule[];
  tainted: boolean;
  /** Tools share the turn's queue: quick reads of the workspace run as local activities. */
  localReads: boolean;
  /** Calls of this turn, as `<tool> <argsHash>`, that have returned the same result three times. */
  repeated: ReadonlySet<string>;
}

const mostCalls = 20;
const longestSummary = 80;

/** Pure. At most 20 calls of a step run; the others, and those that may not run, carry their result as `refusal`. */
export function planCalls(calls: readonly ModelCall[], facts: PlanFacts): CallPlan[] {
  return calls.map((call, index) => planCall(call, index, facts));
}

function planCall(call: ModelCall, index: number, facts: PlanFacts): CallPlan {
  const callId = `s${facts.step}.c${index + 1}`;
  const tool = facts.tools.get(call.name);
  const unplanned = {
    callId,
    tool: call.name.slice(0, 64),
    effect: 'read',
    decision: 'deny',
    timeoutMs: 0,
    summary: call.name.slice(0, longestSummary),
    written: call.arguments,
    arguments: {},
  } as const;
  if (index >= mostCalls) {
    return {
      ...unplanned,
      refusal: `Error: not run: a step carries out at most ${mostCalls} calls. Ask again for this one.`,
    };
  }
  if (!tool) return { ...unplanned, refusal: unknownTool(call.name, facts.tools) };
  const prepared = prepareArguments(tool, call.arguments);
  if (!prepared.ok) return { ...unplanned, effect: tool.effect, refusal: prepared.text };
  return decideCall(callId, call, tool, prepared.input, facts);
}

function decideCall(callId: string, call: ModelCall, tool: Tool, input: unknown, facts: PlanFacts): CallPlan {
  const argsHash = hashArguments(input);
  const decision = decide(
    {
      tool: tool.name,
      arguments: isRecord(input) ? input : {},
      effect: tool.effect,
      defaultPolicy: tool.defaultPolicy,
      leavesMachine: tool.leavesMachine ?? false,
    },
    facts.rules,
    facts,
  );
  const plan: CallPlan = {
    callId,
    tool: tool.name,
    effect: tool.effect,
    decision: decision.kind,
    timeoutMs: typeof tool.timeoutMs === 'number' ? tool.timeoutMs : tool.timeoutMs(input),
    summary: tool.summary(input).slice(0, longestSummary),
    argsHash,
    written: call.arguments,
    arguments: input,
    ...(tool.attaches && { attaches: true }),
    ...(tool.local && facts.localReads && { local: true }),
    ...(tool.brief && { brief: tool.brief(input) }),
  };
  if (decision.kind !== 'allow') return { ...plan, refusal: toRefusal(tool.name, decision) };
  if (!facts.repeated.has(`${tool.name} ${argsHash}`)) return plan;
  const refusal = `Error: not run: this very call has returned the same result three times. Change the arguments, use what you have, or say what is missing.`;
  return { ...plan, refusal, repeated: true };
}

function unknownTool(name: string, tools: ReadonlyMap<string, Tool>): string {
  const near = nearestNames(name, [...tools.keys()]);
  return `Error: there is no tool ${JSON.stringify(name.slice(0, 64))}. ${near.length > 0 ? `Nearest: ${near.join(', ')}.` : `There are: ${[...tools.keys()].join(', ')}.`}`;
}

/** Equal for equal arguments, whatever the order of their keys. */
function hashArguments(input: unknown): string {
  return createHash('sha256').update(JSON.stringify(input, sortedKeys)).digest('base64url').slice(0, 22);
}

function sortedKeys(_key: string, value: unknown): unknown {
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
