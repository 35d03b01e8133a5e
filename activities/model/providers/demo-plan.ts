// What the stand-in understands of a message: steps, each of them one tool call, and parts that it does not understand. Text
// work only, no guessing.

export interface PlannedStep {
  tool: string;
  args: Record<string, unknown>;
  /** As the person may read it again: "read notes.md". */
  title: string;
}

export type PlanPart = PlannedStep | { notUnderstood: string };

export function isStep(part: PlanPart): part is PlannedStep {
  return 'tool' in part;
}

/** The patterns backtrack, so their work is bounded by what they are given. */
const maxMessageChars = 20_000;
const maxPartChars = 2_000;

export function planOf(message: string): PlanPart[] {
  const { masked, unmask } = maskQuotes(message.slice(0, maxMessageChars));
  return masked
    .replace(/[^\S\n]+/g, ' ')
    .replace(/^ ?(?:[-*•]|\d+[.)]) /gm, '')
    .split(separator)
    .map((part) => withoutPoliteness(part.trim()))
    .filter((part) => /[\p{L}\p{N}]/u.test(part))
    .map((part) => stepOf(part, unmask));
}

// What is quoted is one word to the patterns below, whatever stands in it.
const quoted = /"[^"]*"|“[^“”]*”|`[^`]*`|(?<![\p{L}\d])'[^'\n]*'(?![\p{L}\d])/gu;

function maskQuotes(message: string): { masked: string; unmask(text: string): string } {
  const quotes: string[] = [];
  const masked = message.replace(/[\uE000\uE001]/g, '').replace(quoted, (found) => {
    quotes.push(found);
    return `\uE000${quotes.length - 1}\uE001`;
  });
  const restore = (text: string) => text.replace(/\uE000(\d+)\uE001/g, (_mask, n: string) => quotes[Number(n)] ?? '');
  return {
    masked,
    // A quote that is the whole value loses its marks; within a longer one, such as a command, they belong to it.
    unmask: (text) => (/^\uE000\d+\uE001$/.test(text) ? restore(text).slice(1, -1) : restore(text)),
  };
}

const verb =
  '(?:please )?(?:list|show|display|read|open|cat|ls|write|save|put|create|replace|change|find|search|look for|grep|run|execute|wait|sleep|ask|delegate|in the background)\\b';
const separator = new RegExp(
  [
    '\\s*\\n\\s*',
    '[,.;!]?\\s+(?:and\\s+)?(?:then|afterwards|after that)\\b[\\s,:]*',
    `[.;!]\\s+(?=(?:and |now |next |also |finally )*${verb})`,
    `,?\\s+and\\s+(?=${verb})`,
    `,\\s+(?=${verb})`,
  ].join('|'),
  'i',
);

const polite =
  /^(?:(?:please|now|first|next|finally|also|and|then|hey|hi|hello|durabot|ok|okay)\b[\s,:.!]*|(?:can|could|would|will) you\b\s*|i (?:want|need|would like) you to\b\s*|let'?s\b\s*)/i;

function withoutPoliteness(part: string): string {
  const shorter = part.replace(polite, '');
  return shorter === part ? part.replace(/[\s,.!?]+(?:please|for me)?[\s,.!?]*$/i, '') : withoutPoliteness(shorter);
}

type ToStep = (...values: string[]) => PlannedStep | undefined;

const folder = '(?: (?:in|of|under|inside) (?:the )?(?:folder |directory )?(\\S+))?';
const file = '(?:the )?(?:file )?(?:called |named )?(\\S+)';

const understood: [pattern: string, toStep: ToStep][] = [
  [
    `(?:ls|(?:list|show|display)(?: me)?(?: all| my| the| of)*(?: files?| folders?)(?: and folders?)?)(?: (?!in |of |under |inside )(\\S+))?${folder}`,
    (at, path) => listing(at || path),
  ],
  [`(?:what|which) (?:files?|folders?)(?: are there| do (?:i|you|we) have| exist)?${folder}`, listing],
  [`list ${file}`, listing],
  [
    `(?:write|save|put) (?:the )?(?:text |words? )?(.+?) (?:to|into|in|as) ${file}`,
    (words, path) => writing(path, words),
  ],
  [
    `(?:create|write|make) (?:a )?${file} (?:with|saying|containing)(?: the)?(?: text| content| words?)?:? (.+)`,
    writing,
  ],
  [`(?:replace|change) (.+?) (?:with|by|to) (.+?) in ${file}`, replacing],
  [
    `(?:search|grep|look)(?: the files| my files| all files| everywhere)?(?: for)?(?: the)?(?: text| words?)? (.+?)${folder}`,
    searching,
  ],
  [`find(?: the)? (?:text|words?) (.+?)${folder}`, searching],
  [`find(?: me)?(?: the| my| all)*(?: files?)?(?: called| named| like)? (.+?)${folder}`, finding],
  ['(?:run|execute)(?: the)?(?: command| program)?:? (.+)', running],
  ['(?:wait|sleep)(?: for)? (\\d+|an?|one) ?(s|secs?|seconds?|m|mins?|minutes?)?', waiting],
  [
    '(?:ask|let|have) (?:a|the|another|your) (?:helper|subagent|assistant)(?: to)?:? (.+)',
    (task) => helping(task, true),
  ],
  ['delegate:? (.+)', (task) => helping(task, true)],
  ['in the background,?:? (.+)', (task) => helping(task, false)],
  ['(.+?),? in the background', (task) => helping(task, false)],
  [`(?:read|open|cat)(?: me)?(?: what is in| what's in| the contents? of)? ${file}`, reading],
  [
    `(?:show|display|print)(?: me)?(?: what is in| what's in| the contents? of)? ${file}`,
    (path) => (looksLikeFile(path) ? reading(path) : undefined),
  ],
  [`what(?: is|'s) in ${file}`, (path) => (looksLikeFile(path) ? reading(path) : undefined)],
];
const patterns = understood.map(([pattern, toStep]) => ({ pattern: new RegExp(`^${pattern}$`, 'isu'), toStep }));

function stepOf(part: string, unmask: (text: string) => string): PlanPart {
  const whole = unmask(part);
  if (part.length > maxPartChars || /\b(?:the web|internet|online|google)\b/i.test(part))
    return { notUnderstood: whole };
  for (const { pattern, toStep } of patterns) {
    const match = pattern.exec(part);
    const step = match && toStep(...match.slice(1).map((value: string | undefined) => unmask(value ?? '')));
    if (step) return step;
  }
  return { notUnderstood: whole };
}

function looksLikeFile(path = ''): boolean {
  return /[./]/.test(path);
}

function listing(path = ''): PlannedStep {
  const at = path || '.';
  return { tool: 'list_dir', args: { path: at }, title: at === '.' ? 'list files' : `list files in ${at}` };
}

function reading(path = ''): PlannedStep {
  return { tool: 'read_file', args: { path }, title: `read ${path}` };
}

function writing(path = '', content = ''): PlannedStep {
  return { tool: 'write_file', args: { path, content }, title: `write ${inQuotes(content)} to ${path}` };
}

function replacing(before = '', after = '', path = ''): PlannedStep {
  return {
    tool: 'edit_file',
    args: { path, old_text: before, new_text: after },
    title: `replace ${inQuotes(before)} with ${inQuotes(after)} in ${path}`,
  };
}

function searching(pattern = '', path = ''): PlannedStep {
  return {
    tool: 'grep',
    args: { pattern, fixed_strings: true, case_insensitive: true, ...(path ? { path } : {}) },
    title: `search ${inQuotes(pattern)}${path ? ` in ${path}` : ''}`,
  };
}

function finding(name = '', path = ''): PlannedStep {
  const wanted = /[*?]/.test(name) ? { glob: name } : { query: name };
  const title = `find ${name}${path ? ` in ${path}` : ''}`;
  return { tool: 'find_files', args: { ...wanted, ...(path ? { path } : {}) }, title };
}

function running(command = ''): PlannedStep {
  return { tool: 'exec', args: { command }, title: `run ${command}` };
}

const longestWaitSeconds = 1790;

function waiting(amount = '', unit = ''): PlannedStep | undefined {
  const count = /^\d+$/.test(amount) ? Number(amount) : 1;
  const seconds = /^m/i.test(unit) ? count * 60 : count;
  if (seconds > longestWaitSeconds) return undefined;
  // Under a limit of its own only where the tool's usual one would end it first.
  const timeout = seconds >= 50 ? { timeout: seconds + 10 } : {};
  return { tool: 'exec', args: { command: `sleep ${seconds}`, ...timeout }, title: `wait ${seconds} seconds` };
}

function helping(task = '', wait = true): PlannedStep {
  return {
    tool: 'spawn',
    args: { task, label: task.slice(0, 40), wait },
    title: wait ? `ask a helper to ${task}` : `in the background ${task}`,
  };
}

/** As the person could write it again: in marks that do not stand in it, since a mark within would end the quote. */
function inQuotes(text: string): string {
  if (!text.includes('"')) return `"${text}"`;
  return text.includes('`') ? `“${text}”` : `\`${text}\``;
}
