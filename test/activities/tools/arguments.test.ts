import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { z } from 'zod';
import { applyPatchTool } from '../../../activities/tools/apply-patch.js';
import { prepareArguments, toolSpec } from '../../../activities/tools/arguments.js';
import { editFileTool } from '../../../activities/tools/edit-file.js';
import { readFileTool } from '../../../activities/tools/read-file.js';
import { defineTool, success, type Tool } from '../../../activities/tools/tool.js';
import { writeFileTool } from '../../../activities/tools/write-file.js';

function toolOf<Input>(name: string, input: z.ZodType<Input>): Tool<Input> {
  const run = async () => success('');
  return defineTool({
    name,
    description: '',
    input,
    effect: 'read',
    defaultPolicy: 'allow',
    timeoutMs: 1,
    summary: () => name,
    run,
  });
}

test.each([
  ['as they are', '{"path":"a.md","offset":2}', { path: 'a.md', offset: 2, limit: 2000 }],
  ['with numbers as text', '{"path":"a.md","offset":"2","limit":" 5 "}', { path: 'a.md', offset: 2, limit: 5 }],
  ['with text as a number', '{"path":2026}', { path: '2026', offset: 1, limit: 2000 }],
  ['with null for what may be left out', '{"path":"a.md","offset":null}', { path: 'a.md', offset: 1, limit: 2000 }],
  ['in a code fence', '```json\n{"path":"a.md"}\n```', { path: 'a.md', offset: 1, limit: 2000 }],
  ['encoded twice', '"{\\"path\\":\\"a.md\\"}"', { path: 'a.md', offset: 1, limit: 2000 }],
  ['with commas too many and too few', '{"path":"a.md" "limit":5,}', { path: 'a.md', offset: 1, limit: 5 }],
  ['without the last brace', '{"path":"a.md","limit":5', { path: 'a.md', offset: 1, limit: 5 }],
  ['with a remark', '{"path":"a.md" /* the list */}', { path: 'a.md', offset: 1, limit: 2000 }],
  ['with a field nobody knows', '{"path":"a.md","force":true}', { path: 'a.md', offset: 1, limit: 2000 }],
  ['with a field that is none', '{"path":"a.md","__proto__":{"offset":9},}', { path: 'a.md', offset: 1, limit: 2000 }],
])('arguments %s are taken', (_, raw, input) => {
  expect(prepareArguments(readFileTool, raw)).toEqual({ ok: true, input });
});

test('raw line ends and tabs inside a text are kept', () => {
  const prepared = prepareArguments(writeFileTool, '{"path":"a.md","content":"one\n\ttwo \\"quoted\\"\r\n"}');
  expect(prepared).toEqual({ ok: true, input: { path: 'a.md', content: 'one\n\ttwo "quoted"\r\n' } });
});

test('flags and lists given as text are what they mean', () => {
  const edits = JSON.stringify([{ path: 'a.md', action: 'add', new_text: '5' }]);
  const prepared = prepareArguments(applyPatchTool, JSON.stringify({ edits, dry_run: 'True' }));
  expect(prepared).toEqual({ ok: true, input: { edits: JSON.parse(edits), dry_run: true } });
});

test('text that looks like something else stays text where text is wanted', () => {
  for (const content of ['5', 'true', '{"a":1}', 'null', ' 7 ']) {
    expect(prepareArguments(writeFileTool, JSON.stringify({ path: 'a', content }))).toMatchObject({
      input: { content },
    });
  }
});

test('no arguments at all are an empty object', () => {
  expect(prepareArguments(toolOf('now', z.object({})), '')).toEqual({ ok: true, input: {} });
});

test.each([
  ['a missing field', '{}', 'path: expected string, but it is missing.'],
  [
    'a wrong name',
    '{"file_path":"a.md"}',
    'path: expected string, but it is missing; file_path: unknown, perhaps path is meant.',
  ],
  ['a wrong kind', '{"path":["a.md"]}', 'path: expected string, got array.'],
  ['words for a number', '{"path":"a.md","offset":"first"}', 'offset: expected number, got string.'],
  ['a fraction', '{"path":"a.md","offset":1.5}', 'offset: expected integer, got a fraction.'],
  ['too small a number', '{"path":"a.md","offset":0}', /offset: Too small: expected number to be >=1\./],
])('%s is answered with the field and what it should be', (_, raw, words) => {
  const prepared = prepareArguments(readFileTool, raw);
  if (prepared.ok) throw new Error('taken');
  expect(prepared.text).toMatch(
    /^Error: the arguments of read_file do not fit\. .* Nothing was run; send the whole call again\.$/,
  );
  if (typeof words === 'string') expect(prepared.text).toContain(`do not fit. ${words} Nothing`);
  else expect(prepared.text).toMatch(words);
});

test('a field inside a list is named with its place', () => {
  const prepared = prepareArguments(applyPatchTool, '{"edits":[{"path":"a","action":"delete","new_text":""}]}');
  expect(prepared).toMatchObject({
    ok: false,
    text: expect.stringContaining('edits.0.action: expected one of "replace", "add"'),
  });
});

test.each([
  [
    'text that breaks off',
    '{"path":"a.md","content":"half of a fi',
    /are no JSON object: UnexpectedEndOfString at character 26/,
  ],
  ['a name without a value', '{"path":', /ValueExpected/],
  ['two calls in one', '{"path":"a"}{"path":"b"}', /EndOfFileExpected at character 13/],
  ['a list', '[1]', /one object in braces was expected/],
  ['a word', '"a.md"', /one object in braces was expected/],
  ['prose', 'I will read a.md', /are no JSON object: InvalidSymbol at character 1/],
])('%s is refused, not guessed', (_, raw, words) => {
  const prepared = prepareArguments(writeFileTool, raw);
  if (prepared.ok) throw new Error('taken');
  expect(prepared.text).toMatch(/^Error: /);
  expect(prepared.text).toMatch(words);
});

test('what the model is told of a tool is JSON Schema of what it may write', () => {
  expect(toolSpec(editFileTool)).toMatchObject({
    name: 'edit_file',
    parameters: {
      type: 'object',
      required: ['path', 'old_text', 'new_text'],
      properties: { replace_all: { type: 'boolean', default: false }, occurrence: { type: 'integer', minimum: 1 } },
    },
  });
  expect(Object.keys(toolSpec(editFileTool).parameters)).not.toContain('$schema');
});

// 630 published function calls, see the folder's SOURCE.md.
interface Case {
  id: string;
  tools: { name: string; parameters: Record<string, unknown> }[];
  expected: Record<string, Record<string, unknown[]>>[];
  expected_conforms_to_schema: boolean;
}
const cases: Case[] = readFileSync('test/corpora/bfcl/bfcl_v4_extract.jsonl', 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line));

/** The first acceptable value of each parameter; '' means left out. Objects hold lists of acceptable values, too. */
function answer(parameters: Record<string, unknown>): Record<string, unknown> {
  const fields = Object.entries(parameters).flatMap(([name, acceptable]): [string, unknown][] => {
    if (!Array.isArray(acceptable)) return [[name, acceptable]];
    return acceptable.length === 0 || acceptable[0] === '' ? [] : [[name, plain(acceptable[0])]];
  });
  return Object.fromEntries(fields);
}

function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  return typeof value === 'object' && value !== null ? answer(value as Record<string, unknown[]>) : value;
}

interface PublishedCall {
  id: string;
  tool: Tool<unknown>;
  schema: { required?: string[]; properties?: Record<string, { type?: string; default?: unknown }> };
  input: Record<string, unknown>;
  conforms: boolean;
}

const calls: PublishedCall[] = cases.flatMap(({ id, tools, expected, expected_conforms_to_schema: conforms }) =>
  expected.flatMap((call) =>
    Object.entries(call).map(([name, parameters]) => {
      const schema = tools.find((tool) => tool.name === name)?.parameters ?? {};
      return { id, tool: toolOf(name, z.fromJSONSchema(schema)), schema, input: answer(parameters), conforms };
    }),
  ),
);

const asJson = ({ tool, input }: PublishedCall, change: Record<string, unknown> = {}) =>
  prepareArguments(tool, JSON.stringify({ ...input, ...change }));

test('the published calls of all 621 cases that fit their schema are taken, and nothing in them changes', () => {
  expect(cases.filter((one) => one.expected_conforms_to_schema)).toHaveLength(621);
  for (const call of calls.filter(({ conforms }) => conforms)) {
    expect({ id: call.id, ...asJson(call) }).toMatchObject({ id: call.id, ok: true, input: call.input });
  }
});

test.each([
  ['simple_python_200', 'fuel_efficiency: expected number, but it is missing'],
  ['parallel_multiple_94', 'elements.0: expected number, got string'],
  ['live_simple_112-68-0', 'acc_routing_start: expected array, but it is missing'],
  ['live_multiple_731-167-2', 'in_unit_laundry: expected one of "True", "False", "dontcare", got boolean'],
  ['live_parallel_multiple_2-2-0', 'command: expected one of "거실, 에어컨, 실행"'],
  ['live_multiple_595-158-1', undefined], // the number 2 for the text "2": cast
  ['live_simple_40-17-0', undefined], // these three list alternatives inside an object, which their own check took for arrays
  ['live_simple_44-18-0', undefined],
  ['live_parallel_multiple_0-0-0', undefined],
])('the case %s contradicts its own schema: %s', (id, words) => {
  const answers = calls.filter((call) => call.id === id && !call.conforms).map((call) => asJson(call));
  const refused = answers.flatMap((answer) => (answer.ok ? [] : [answer.text]));
  expect(answers).not.toEqual([]);
  expect(refused).toEqual(words === undefined ? [] : [expect.stringContaining(words)]);
});

test('a published call without a field that it needs is refused by the name of the field', () => {
  let dropped = 0;
  for (const call of calls.filter(({ conforms }) => conforms)) {
    for (const field of call.schema.required ?? []) {
      if (call.schema.properties?.[field]?.default !== undefined) continue; // then it is filled in
      const answer = asJson(call, { [field]: undefined });
      expect({ id: call.id, ...answer }).toMatchObject({
        ok: false,
        text: expect.stringContaining(`${field}: expected `),
      });
      dropped++;
    }
  }
  expect(dropped).toBeGreaterThan(1_500);
});

test('a published call with a field of another kind is refused by the name of the field', () => {
  const wrong: Record<string, unknown> = { string: { not: 'text' }, boolean: 'perhaps', array: 7, object: 'text' };
  let changed = 0;
  for (const call of calls.filter(({ conforms }) => conforms)) {
    for (const field of Object.keys(call.input)) {
      const { type } = call.schema.properties?.[field] ?? {};
      if (type === undefined) continue;
      const answer = asJson(call, { [field]: wrong[type] ?? 'a word' });
      expect({ id: call.id, ...answer }).toMatchObject({
        ok: false,
        text: expect.stringContaining(`${field}: expected `),
      });
      changed++;
    }
  }
  expect(changed).toBeGreaterThan(1_500);
});
