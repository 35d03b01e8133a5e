// `config.json` as a tree with positions: JSON with comments and trailing commas. Here a file is judged by its keys;
// values are the schema's matter.
import { type Node, type ParseError, parseTree, printParseErrorCode } from 'jsonc-parser';
import type { z } from 'zod';
import { nearest } from './nearest.js';
import type { Place } from './problem.js';
import { childOf, keysOf, matchingKey } from './walk.js';

export interface FileContents {
  values: Record<string, unknown>;
  /** Key path, joined by dots, to the place where its value stands. */
  places: Map<string, Place>;
  problems: string[];
}

export interface FileText {
  /** As the person knows it. */
  name: string;
  text: string;
}

/** Keys of the file in camelCase, `${VARIABLE}` filled in, each wrong key and unset variable as a problem. */
export function readConfigText(file: FileText, schema: z.core.$ZodType, environment: NodeJS.ProcessEnv): FileContents {
  const errors: ParseError[] = [];
  const tree = parseTree(file.text, errors, { allowTrailingComma: true, allowEmptyContent: true });
  const contents: FileContents = { values: {}, places: new Map(), problems: [] };
  const first = errors[0];
  if (first) {
    contents.problems.push(
      `${at(file, first.offset)}: ${sentences[printParseErrorCode(first.error)] ?? 'this is not JSON'}.`,
    );
    return contents;
  }
  if (!tree) return contents; // an empty file says nothing
  if (tree.type !== 'object') {
    contents.problems.push(`${at(file, tree.offset)}: the file must hold one object in braces.`);
    return contents;
  }
  contents.values = readObject({ file, contents, environment }, tree, schema, []);
  return contents;
}

interface Reading {
  file: FileText;
  contents: FileContents;
  environment: NodeJS.ProcessEnv;
}

function readObject(
  reading: Reading,
  node: Node,
  schema: z.core.$ZodType | undefined,
  path: string[],
): Record<string, unknown> {
  const { file, contents } = reading;
  const values: Record<string, unknown> = {};
  const seen = new Map<string, number>();
  for (const property of node.children ?? []) {
    const [keyNode, valueNode] = property.children ?? [];
    if (!keyNode || !valueNode) continue;
    const written = String(keyNode.value);
    const key = knownKey(schema, written);
    if (key === undefined) {
      contents.problems.push(unknownKey(`${at(file, keyNode.offset)}:`, schema, [...path, written]));
      continue;
    }
    const before = seen.get(key);
    if (before !== undefined) {
      const line = positionOf(file.text, before).line;
      contents.problems.push(
        `${at(file, keyNode.offset)}: "${written}" stands here a second time; the first is in line ${line}. Keep one.`,
      );
      continue;
    }
    seen.set(key, keyNode.offset);
    values[key] = readValue(reading, valueNode, schema && childOf(schema, key), [...path, key]);
  }
  return values;
}

function readValue(reading: Reading, node: Node, schema: z.core.$ZodType | undefined, path: string[]): unknown {
  reading.contents.places.set(path.join('.'), at(reading.file, node.offset));
  if (node.type === 'object') return readObject(reading, node, schema, path);
  if (node.type === 'array') {
    return (node.children ?? []).map((child, index) =>
      readValue(reading, child, schema && childOf(schema, index), [...path, String(index)]),
    );
  }
  return node.type === 'string' ? fillIn(reading, node, path) : node.value;
}

function fillIn({ file, contents, environment }: Reading, node: Node, path: string[]): string {
  return String(node.value).replace(/\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g, (whole, variable: string) => {
    const value = environment[variable];
    if (value !== undefined) return value;
    contents.problems.push(
      `${at(file, node.offset)}: ${path.join('.')} needs the environment variable ${variable}, which is not set.`,
    );
    return whole;
  });
}

// Outside of the schema (a free object such as extraBody) every key is taken as it is written.
function knownKey(schema: z.core.$ZodType | undefined, written: string): string | undefined {
  const keys = schema && keysOf(schema);
  return keys ? matchingKey(keys, written) : written;
}

/** "config.json, line 3: there is no key agents.defaults.modl; the nearest is model." */
export function unknownKey(where: string, schema: z.core.$ZodType | undefined, path: string[]): string {
  const keys = (schema && keysOf(schema)) ?? [];
  const near = nearest(path.at(-1) ?? '', keys);
  const remedy = near ? `the nearest is ${near}` : `there are ${keys.join(', ')}`;
  return `${where} there is no key ${path.join('.')}; ${remedy}.`;
}

function at({ name, text }: FileText, offset: number): Place {
  const { line, column } = positionOf(text, offset);
  return `${name}, line ${line}, column ${column}`;
}

function positionOf(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset).split('\n');
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}

const sentences: Record<string, string> = {
  InvalidSymbol: 'a word that JSON does not know; text needs double quotes',
  InvalidNumberFormat: 'this is not a number',
  PropertyNameExpected: 'a key in double quotes is expected',
  ValueExpected: 'a value is expected',
  ColonExpected: 'a colon is expected after the key',
  CommaExpected: 'a comma is missing before this',
  CloseBraceExpected: 'a closing brace } is missing',
  CloseBracketExpected: 'a closing bracket ] is missing',
  EndOfFileExpected: 'the file goes on after its end; remove what follows',
  UnexpectedEndOfComment: 'a comment is not closed',
  UnexpectedEndOfString: 'a text is not closed by a double quote',
  InvalidEscapeCharacter: 'after a backslash only " \\ / b f n r t u may stand',
  InvalidUnicode: 'after \\u four hexadecimal digits are expected',
  InvalidCharacter: 'a character that may not stand in text; write it as \\n, \\t or \\u…',
};
