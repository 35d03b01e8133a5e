// Models write "5" for 5 and "true" for true. Casts what has another type than the schema asks for, where only one reading exists.

export interface JsonSchema {
  type?: string | string[];
  properties?: Record<string, JsonSchema>;
  required?: string[];
  items?: JsonSchema;
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  [keyword: string]: unknown;
}

/** Pure; a value of the right type stays as it is, one that cannot be cast too: the validation that follows has the words for it. */
export function castBySchema(value: unknown, schema: JsonSchema): unknown {
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices !== undefined) return castToOneOf(value, choices);
  const types = typesOf(schema);
  if (types.length === 0 || isOfType(value, types)) return castParts(value, schema);
  if (typeof value === 'string') return castParts(castText(value, types), schema);
  const isPlain = typeof value === 'number' || typeof value === 'boolean';
  return isPlain && types.includes('string') ? String(value) : value;
}

function castToOneOf(value: unknown, choices: readonly JsonSchema[]): unknown {
  const fitting = choices.find((choice) => isOfType(value, typesOf(choice)));
  if (fitting !== undefined) return castBySchema(value, fitting);
  for (const choice of choices) {
    const cast = castBySchema(value, choice);
    if (cast !== value) return cast;
  }
  return value;
}

function castText(text: string, types: readonly string[]): unknown {
  const plain = text.trim();
  const isNumeric = /^[+-]?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(plain);
  const readings: unknown[] = [];
  if (isNumeric) readings.push(Number(plain));
  if (/^(true|false)$/i.test(plain)) readings.push(plain.toLowerCase() === 'true');
  if (plain.startsWith('[') || plain.startsWith('{')) readings.push(parseOrText(plain));
  return readings.find((reading) => isOfType(reading, types)) ?? text;
}

/** The elements of an array, the fields of an object. A null for a field that may be left out counts as left out. */
function castParts(value: unknown, { items, properties, required = [] }: JsonSchema): unknown {
  if (Array.isArray(value)) return items === undefined ? value : value.map((item) => castBySchema(item, items));
  if (typeof value !== 'object' || value === null || properties === undefined) return value;
  const fields = Object.entries(value).flatMap(([name, field]): [string, unknown][] => {
    const schema = Object.hasOwn(properties, name) ? properties[name] : undefined;
    if (schema === undefined) return [[name, field]];
    if (field === null && !required.includes(name) && !mayBeNull(schema)) return [];
    return [[name, castBySchema(field, schema)]];
  });
  return Object.fromEntries(fields);
}

function typesOf({ type }: JsonSchema): string[] {
  return type === undefined ? [] : [type].flat();
}

function mayBeNull(schema: JsonSchema): boolean {
  const choices = schema.anyOf ?? schema.oneOf ?? [];
  return (
    typesOf(schema).includes('null') ||
    choices.some(mayBeNull) ||
    (typesOf(schema).length === 0 && choices.length === 0)
  );
}

function isOfType(value: unknown, types: readonly string[]): boolean {
  return types.some((type) => {
    if (type === 'integer') return Number.isInteger(value);
    if (type === 'null') return value === null;
    if (type === 'array') return Array.isArray(value);
    if (type === 'object') return typeof value === 'object' && value !== null && !Array.isArray(value);
    return typeof value === type;
  });
}

function parseOrText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text; // not JSON after all
  }
}
