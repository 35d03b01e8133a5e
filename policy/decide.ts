// May this call run? Decided in code, from data, outside the model's reach.

export type Decision = { kind: 'allow' | 'ask' | 'deny'; reason: string };

/** A rule of the configuration, `policy.rules`: the first one that matches speaks. */
export interface Rule {
  /** A tool's name; `*` stands for any part of it. */
  tool: string;
  /** Argument name to the text that it must have; `*` stands for any part of it. */
  match?: Record<string, string> | undefined;
  decision: 'allow' | 'ask' | 'deny';
  reason?: string | undefined;
}

export interface ProposedCall {
  tool: string;
  arguments: Record<string, unknown>;
  effect: 'read' | 'idempotent' | 'once';
  defaultPolicy: 'allow' | 'ask' | 'deny';
  leavesMachine: boolean;
}

export interface TurnState {
  /** The turn has read text from outside: its effects that leave the machine or cannot be undone are the person's to allow. */
  tainted: boolean;
}

/** Pure. Outside text can only make a rule stricter; there is always a reason to show. */
export function decide(call: ProposedCall, rules: readonly Rule[], { tainted }: TurnState): Decision {
  const rule = rules.find((candidate) => matches(candidate, call));
  const asked: Decision = rule
    ? { kind: rule.decision, reason: rule.reason ?? `rule for ${rule.tool} in policy.rules` }
    : { kind: call.defaultPolicy, reason: `the default of ${call.tool}` };
  const risky = tainted && (call.leavesMachine || call.effect === 'once');
  return asked.kind === 'allow' && risky ? { kind: 'ask', reason: 'this turn has read text from outside' } : asked;
}

function matches(rule: Rule, call: ProposedCall): boolean {
  if (!fits(rule.tool, call.tool)) return false;
  return Object.entries(rule.match ?? {}).every(([name, wanted]) => {
    const value = call.arguments[name];
    return value !== undefined && fits(wanted, typeof value === 'string' ? value : JSON.stringify(value));
  });
}

/** `*` stands for any text, everything else for itself. Without backtracking, since the text may come from anywhere. */
export function fits(pattern: string, text: string): boolean {
  const pieces = pattern.split('*');
  const first = pieces.shift() ?? '';
  if (pieces.length === 0) return pattern === text;
  const last = pieces.pop() ?? '';
  if (!text.startsWith(first) || text.length < first.length + last.length || !text.endsWith(last)) return false;
  let rest = text.slice(first.length, text.length - last.length);
  for (const piece of pieces) {
    const at = rest.indexOf(piece);
    if (at < 0) return false;
    rest = rest.slice(at + piece.length);
  }
  return true;
}

/** What the model reads of a call that does not run. It names the rule that would allow it, for the person to decide. */
export function toRefusal(tool: string, { kind, reason }: Decision): string {
  const rule = `{ "tool": "${tool}", "decision": "allow" }`;
  const why = kind === 'ask' ? `needs the person's approval (${reason})` : `is not allowed (${reason})`;
  return `Error: ${tool} ${why}. It was not run. The person can allow it with the rule ${rule} in policy.rules of config.json.`;
}
