// Every key of the file also as a variable: DURABOT_AGENTS__DEFAULTS__MODEL is agents.defaults.model.
import { z } from 'zod';
import { unknownKey } from './config-file.js';
import type { Place } from './problem.js';
import { bare, childOf, hasFreeNames, keysOf, matchingKey } from './walk.js';

const prefix = 'DURABOT_';

export interface VariableOverride {
  path: string[];
  value: unknown;
  place: Place;
}

/** `known` are the values of the file: a free name (of a provider) is taken as it is written there. */
export function readVariables(
  environment: NodeJS.ProcessEnv,
  schema: z.core.$ZodType,
  known: Record<string, unknown>,
): { overrides: VariableOverride[]; problems: string[] } {
  const overrides: VariableOverride[] = [];
  const problems: string[] = [];
  for (const [variable, text] of Object.entries(environment)) {
    if (text === undefined || !variable.startsWith(prefix) || !variable.includes('__')) continue;
    const found = resolvePath(variable.slice(prefix.length).split('__'), schema, known);
    if ('problem' in found) problems.push(`${variable}: ${found.problem}`);
    else overrides.push({ path: found.path, value: toValue(found.schema, text), place: variable });
  }
  return { overrides, problems };
}

type Resolved = { path: string[]; schema: z.core.$ZodType } | { problem: string };

function resolvePath(segments: string[], root: z.core.$ZodType, known: unknown): Resolved {
  const path: string[] = [];
  let schema = root;
  let values = known;
  for (const segment of segments) {
    const key = hasFreeNames(schema) ? freeName(segment, values) : matchingKey(keysOf(schema) ?? [], segment);
    const child = key === undefined ? undefined : childOf(schema, key);
    if (key === undefined || !child)
      return { problem: unknownKey('', schema, [...path, segment.toLowerCase()]).trim() };
    path.push(key);
    schema = child;
    values = typeof values === 'object' && values !== null ? (values as Record<string, unknown>)[key] : undefined;
  }
  return { path, schema };
}

// Variables are written in capitals, names of providers mostly are not.
function freeName(segment: string, values: unknown): string {
  const there = typeof values === 'object' && values !== null ? Object.keys(values) : [];
  return there.find((name) => name.toLowerCase() === segment.toLowerCase()) ?? segment.toLowerCase();
}

// A variable is text. What it stands for follows from what the key wants; what does not fit is left as it is, and refused there.
function toValue(schema: z.core.$ZodType, text: string): unknown {
  const wanted = bare(schema);
  if (wanted instanceof z.ZodNumber) return text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : text;
  if (wanted instanceof z.ZodArray && !text.trim().startsWith('['))
    return text
      .split(',')
      .map((part) => part.trim())
      .filter(Boolean);
  if (wanted instanceof z.ZodArray || wanted instanceof z.ZodObject || wanted instanceof z.ZodRecord)
    return parsed(text);
  return text;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
