// Commands that a person writes into a chat. They are seen before anything else looks at the message, and none reaches a model.

export interface ChatCommand {
  name: string;
  aliases?: readonly string[];
  /** One line for /help. */
  help: string;
  /** What may follow the name. */
  argument?: string;
}

export type Parsed =
  | { kind: 'message' }
  | { kind: 'command'; name: string; rest: string }
  /** A sentence for the person. */
  | { kind: 'refused'; sentence: string };

/** The known name that a mistyped one most likely means. */
export type Nearest = (word: string, known: Iterable<string>) => string | undefined;

/** Pure. Only a message that begins with one word after a slash is a command: "/etc/hosts is wrong" is a message. */
export function parseCommand(text: string, commands: readonly ChatCommand[], nearest: Nearest): Parsed {
  const match = /^\/([\p{L}_-]*)(?:\s+([\s\S]*))?$/u.exec(text.trim());
  if (!match) return { kind: 'message' };
  const word = (match[1] ?? '').toLowerCase();
  const rest = (match[2] ?? '').trim();
  const command = commands.find(({ name, aliases = [] }) => name === word || aliases.includes(word));
  if (!command) {
    const near = nearest(
      word,
      commands.flatMap(({ name, aliases = [] }) => [name, ...aliases]),
    );
    const remedy = near ? `Did you mean /${near}?` : 'See /help.';
    return { kind: 'refused', sentence: `There is no command /${word}. ${remedy} It was not sent.` };
  }
  if (rest && !command.argument)
    return { kind: 'refused', sentence: `/${command.name} takes nothing after it. It was not carried out.` };
  return { kind: 'command', name: command.name, rest };
}

export function helpText(commands: readonly ChatCommand[]): string {
  const usages = commands.map(({ name, aliases = [], argument }) =>
    [`/${name}`, ...aliases.map((alias) => `/${alias}`)].join(', ').concat(argument ? ` ${argument}` : ''),
  );
  const width = Math.max(...usages.map((usage) => usage.length));
  return commands.map(({ help }, index) => `${(usages[index] ?? '').padEnd(width)}  ${help}`).join('\n');
}
