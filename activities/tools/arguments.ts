// What the model wrote as arguments, made into what a tool takes: repaired where nothing can be lost by it, cast, validated.
import { type ParseError, parse, printParseErrorCode } from 'jsonc-parser';
import { z } from 'zod';
import type { ToolSpec } from '../model/model.js';
import { castBySchema, type JsonSchema } from './cast-by-schema.js';
import { nearestNames } from './nearest-names.js';
import type { Tool } from './tool.js';

export type Prepared<Input> = { ok: true; input: Input } | { ok: false; text: string };

/** Pure. `text` begins with `Error:` and names the fields and what they should be, so that the model can send the call again. */
export function prepareArguments<Input>(tool: Tool<Input>, rawJson: string): Prepared<Input> {
  const read = readJson(rawJson);
  if (!read.ok) return refuse(`the arguments of ${tool.name} are no JSON object: ${read.problem}`);
  const schema = schemaOf(tool);
  const parsed = tool.input.safeParse(castBySchema(read.value, schema));
  if (parsed.success) return { ok: true, input: parsed.data };
  const problems = parsed.error.issues.slice(0, 5).map((issue) => describe(issue, read.value));
  return refuse(
    `the arguments of ${tool.name} do not fit. ${[...problems, ...unknownFields(read.value, schema)].join('; ')}.`,
  );
}

/** What the model is told about a tool. */
export function toolSpec(tool: Tool): ToolSpec {
  const { $schema, ...parameters } = schemaOf(tool);
  return { name: tool.name, description: tool.description, parameters };
}

function schemaOf(tool: Pick<Tool, 'input'>): JsonSchema {
  return z.toJSONSchema(tool.input, { io: 'input' }) as JsonSchema;
}

function refuse(message: string): { ok: false; text: string } {
  return { ok: false, text: `Error: ${message} Nothing was run; send the whole call again.` };
}

// Repairs that cannot lose anything. A text that ends in the middle of a string is no such case: half a file would be written.
const harmless: readonly string[] = ['CommaExpected', 'CloseBraceExpected', 'CloseBracketExpected'];

/**
 * jsonc-parser is enough: it forgives trailing commas, comments and missing closing brackets and names each other fault, so that we
 * choose what to forgive. Beside that only what models are known for is mended: a code fence, a line end inside a string, and JSON
 * that was encoded twice.
 */
function readJson(raw: string): { ok: true; value: object } | { ok: false; problem: string } {
  const text = withoutFence(raw.trim());
  let value: unknown = text === '' ? {} : tryParse(text);
  if (value === undefined) {
    const errors: ParseError[] = [];
    value = withoutPrototype(parse(escapeControls(text), errors, { allowTrailingComma: true }));
    const fault = errors
      .map(({ error, offset }) => ({ fault: printParseErrorCode(error), offset }))
      .find(({ fault }) => !harmless.includes(fault));
    if (fault !== undefined) return { ok: false, problem: `${fault.fault} at character ${fault.offset + 1}.` };
  }
  if (typeof value === 'string') value = tryParse(value);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ok: true, value };
  return { ok: false, problem: 'one object in braces was expected.' };
}

function withoutFence(text: string): string {
  return text.startsWith('```') ? text.slice(text.indexOf('\n') + 1).replace(/```$/, '') : text;
}

/** A line end or tab may stand raw in a string, where JSON wants an escape. */
function escapeControls(text: string): string {
  const escaped = (c: string) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return text.replace(/"(?:[^"\\]|\\[\s\S])*"/g, (string) => string.replace(/\p{Cc}/gu, escaped));
}

/** The parser assigns a key `__proto__`; as JSON again it is a key like any other. */
function withoutPrototype(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}

function tryParse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // what is wrong with it is found by the caller, or said by it
  }
}

function describe(issue: z.core.$ZodIssue, value: unknown): string {
  const field = issue.path.join('.') || 'the arguments';
  const given = valueAt(value, issue.path);
  const but = given === undefined ? 'but it is missing' : `got ${kindOf(given)}`;
  if (issue.code === 'invalid_union') return `${field}: expected ${expectedByUnion(issue)}, ${but}`;
  if (issue.code === 'invalid_type') return `${field}: expected ${issue.expected.replace(/^int$/, 'integer')}, ${but}`;
  if (issue.code === 'invalid_value') return `${field}: expected one of ${issue.values.map(quoted).join(', ')}, ${but}`;
  return `${field}: ${issue.message}`;
}

function quoted(value: unknown): string {
  return JSON.stringify(value);
}

function expectedByUnion(issue: z.core.$ZodIssueInvalidUnion): string {
  const kinds = issue.errors.flat().flatMap((inner) => (inner.code === 'invalid_type' ? [inner.expected] : []));
  return [...new Set(kinds)].join(' or ') || 'another value';
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((inner, key) => (inner as Record<PropertyKey, unknown> | null | undefined)?.[key], value);
}

/** Fields that the tool does not know are left out in silence, unless something else is wrong: then they are likely the cause. */
function unknownFields(value: object, { properties = {} }: JsonSchema): string[] {
  const names = Object.keys(properties);
  const unknown = Object.keys(value).filter((name) => !names.includes(name));
  return unknown.slice(0, 5).map((name) => {
    const near = nearestNames(name, names, 1)[0];
    return `${name}: unknown, ${near === undefined ? `the fields are ${names.join(', ')}` : `perhaps ${near} is meant`}`;
  });
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'array';
  return typeof value === 'number' && !Number.isInteger(value) ? 'a fraction' : typeof value;
}
