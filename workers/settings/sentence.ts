// What is wrong with a value, as a sentence that names its place and what it must be.
import type { FileContents } from './config-file.js';
import { kindOf, type Place } from './problem.js';
import { settingsSchema } from './schema.js';
import { childOf, wantedBy } from './walk.js';

/** "config.json, line 3, column 20: agents.defaults.temperature must be a number from 0 to 2, but is "hot"." */
export function sentenceOf(path: PropertyKey[], file: FileContents): string {
  const keys = path.map(String);
  const known = file.places.get(keys.join('.'));
  const value = keys.reduce<unknown>(
    (inner, key) => (typeof inner === 'object' && inner !== null ? (inner as Record<string, unknown>)[key] : undefined),
    file.values,
  );
  const schema = keys.reduce<Parameters<typeof wantedBy>[0] | undefined>(
    (inner, key) => inner && childOf(inner, key),
    settingsSchema,
  );
  const wanted = schema ? wantedBy(schema) : 'another value';
  const where = known ?? placeAbove(keys, file);
  if (value === undefined) return `${where}: ${keys.join('.')} is missing; it must be ${wanted}.`;
  return `${where}: ${keys.join('.')} must be ${wanted}, but is ${shown(keys, value)}.`;
}

function placeAbove(keys: string[], { places }: FileContents): Place {
  for (let length = keys.length - 1; length > 0; length--) {
    const place = places.get(keys.slice(0, length).join('.'));
    if (place) return place;
  }
  return 'config.json';
}

// A provider's values may be secrets, also when they stand in the wrong place: only their kind is shown.
function shown(keys: string[], value: unknown): string {
  if (keys[0] === 'providers') return kindOf(value);
  const short = (typeof value === 'string' && value.length <= 40) || typeof value === 'number';
  return short ? JSON.stringify(value) : kindOf(value);
}
