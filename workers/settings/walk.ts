// Walking the schema by key: what a reader of files and variables must know to name the right key for a wrong one.
import { z } from 'zod';
import { expectations } from './schema.js';

type Schema = z.core.$ZodType;

/** The schema inside of defaults, optionals and transforms. */
export function bare(schema: Schema): Schema {
  if (
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodNullable
  ) {
    return bare(schema.def.innerType);
  }
  return schema instanceof z.ZodPipe && !expectations.has(schema) ? bare(schema.def.in) : schema;
}

/** The keys of an object; undefined where any name may stand, or none. */
export function keysOf(schema: Schema): string[] | undefined {
  const inner = bare(schema);
  return inner instanceof z.ZodObject ? Object.keys(inner.shape) : undefined;
}

/** What stands under a key or an index; undefined when the schema knows nothing of it. */
export function childOf(schema: Schema, key: string | number): Schema | undefined {
  const inner = bare(schema);
  if (inner instanceof z.ZodObject) return inner.shape[key] as Schema | undefined;
  if (inner instanceof z.ZodRecord) return inner.def.valueType;
  if (inner instanceof z.ZodArray) return inner.def.element;
  return undefined;
}

/** Is this a map whose names the owner chooses? */
export function hasFreeNames(schema: Schema): boolean {
  return bare(schema) instanceof z.ZodRecord;
}

/** "a number from 0 to 2": what the key wants, for a sentence. */
export function wantedBy(schema: Schema): string {
  return expectations.get(bare(schema))?.wants ?? 'another value';
}

/** `max_tokens` and `MAX_TOKENS` as `maxTokens`: the key of the schema that is meant, or undefined. */
export function matchingKey(keys: readonly string[], written: string): string | undefined {
  if (keys.includes(written)) return written;
  return written.includes('_') || written === written.toUpperCase()
    ? keys.find((key) => key.toLowerCase() === written.toLowerCase().replaceAll('_', ''))
    : undefined;
}
