import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { ModelMessage, ModelRequest, ToolSpec } from '../../../../activities/model/model.js';
import { createDemoProvider } from '../../../../activities/model/providers/demo.js';
import { isStep, planOf } from '../../../../activities/model/providers/demo-plan.js';

const plan = (text: string) => planOf(text).map((part) => (isStep(part) ? [part.tool, part.args] : part.notUnderstood));

test.each<[string, unknown[]]>([
  ['list files', [['list_dir', { path: '.' }]]],
  ['Please show me the files in docs.', [['list_dir', { path: 'docs' }]]],
  ['What files are there?', [['list_dir', { path: '.' }]]],
  ['ls docs', [['list_dir', { path: 'docs' }]]],
  ['read notes.md', [['read_file', { path: 'notes.md' }]]],
  ['Could you open the file "my notes.md", please?', [['read_file', { path: 'my notes.md' }]]],
  ["What's in notes/today.md?", [['read_file', { path: 'notes/today.md' }]]],
  ['write "Milk, then bread" to list.md', [['write_file', { path: 'list.md', content: 'Milk, then bread' }]]],
  ['save hello world in a.txt', [['write_file', { path: 'a.txt', content: 'hello world' }]]],
  ['create a.txt with "x"', [['write_file', { path: 'a.txt', content: 'x' }]]],
  ['replace "Milk" with "Tea" in list.md', [['edit_file', { path: 'list.md', old_text: 'Milk', new_text: 'Tea' }]]],
  ['find report', [['find_files', { query: 'report' }]]],
  ['find all files named *.md in docs', [['find_files', { glob: '*.md', path: 'docs' }]]],
  ['search "oat milk"', [['grep', { pattern: 'oat milk', fixed_strings: true, case_insensitive: true }]]],
  [
    'look for milk in list.md',
    [['grep', { pattern: 'milk', fixed_strings: true, case_insensitive: true, path: 'list.md' }]],
  ],
  ['run echo "a b" > c.txt', [['exec', { command: 'echo "a b" > c.txt' }]]],
  ['run `date; uptime`', [['exec', { command: 'date; uptime' }]]],
  ['wait 5 seconds', [['exec', { command: 'sleep 5' }]]],
  ['wait for 2 minutes', [['exec', { command: 'sleep 120', timeout: 130 }]]],
  ['ask a helper to read a.md', [['spawn', { task: 'read a.md', label: 'read a.md', wait: true }]]],
  ['in the background run sleep 60', [['spawn', { task: 'run sleep 60', label: 'run sleep 60', wait: false }]]],
  [
    'list files then read a.md and then run date',
    [
      ['list_dir', { path: '.' }],
      ['read_file', { path: 'a.md' }],
      ['exec', { command: 'date' }],
    ],
  ],
  [
    'Read a.md. Then list files, and find b',
    [
      ['read_file', { path: 'a.md' }],
      ['list_dir', { path: '.' }],
      ['find_files', { query: 'b' }],
    ],
  ],
  [
    '1. read a.md\n2. read b.md\n- wait 1 second',
    [
      ['read_file', { path: 'a.md' }],
      ['read_file', { path: 'b.md' }],
      ['exec', { command: 'sleep 1' }],
    ],
  ],
  ['read a.md and sing a song', ['read a.md and sing a song']],
  ['show me the money', ['show me the money']],
  ['search the web for cats', ['search the web for cats']],
  ['What is the capital of France?', ['What is the capital of France']],
  ['wait 2 days', ['wait 2 days']],
])('%j', (message, expected) => {
  expect(plan(message)).toEqual(expected);
});

test('no message takes the stand-in down or long', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ maxLength: 300 }), fc.lorem({ maxCount: 60 })), (text) =>
      Array.isArray(planOf(text)),
    ),
  );
  for (const text of [' to in', ' then', '\n', '“', ' ', '"', 'and ']) {
    expect(plan(`replace${text.repeat(30_000)}`).length).toBeLessThan(20_000);
  }
});

const offered = ['list_dir', 'read_file', 'write_file', 'edit_file', 'find_files', 'grep', 'exec', 'spawn'].map(
  (name): ToolSpec => ({ name, description: '', parameters: {} }),
);

async function reply(messages: ModelMessage[], tools = offered) {
  const request: ModelRequest = { model: 'demo', system: '', messages, tools, maxTokens: 1000, temperature: 0 };
  const pieces: string[] = [];
  const made = await createDemoProvider().generate(request, (text) => pieces.push(text), new AbortController().signal);
  expect(pieces.join('')).toBe(made.text);
  return made;
}

const says = (text: string): ModelMessage => ({
  role: 'user',
  text: `${text}\n\n[durabot runtime]\ntime: now\n[/durabot runtime]`,
});
/** A call that was made, and its result. */
const did = (id: string, name: string, args: unknown, text: string): ModelMessage[] => [
  { role: 'assistant', text: '', calls: [{ id, name, arguments: JSON.stringify(args) }] },
  { role: 'tool', callId: id, name, text },
];

test('the next step that is not done is the next call, and a repeated request is answered alike', async () => {
  const messages = [says('list files then read a.md'), ...did('t1', 'list_dir', { path: '.' }, 'a.md')];
  const made = await reply(messages);
  expect(made).toMatchObject({
    finishReason: 'tool calls',
    calls: [{ name: 'read_file', arguments: '{"path":"a.md"}' }],
  });
  expect(await reply(messages)).toEqual(made);
});

test('the same order twice is carried out twice', async () => {
  const once = [says('run date then run date'), ...did('t1', 'exec', { command: 'date' }, 'Mon')];
  expect((await reply(once)).calls).toHaveLength(1);
  expect((await reply([...once, ...did('t2', 'exec', { command: 'date' }, 'Tue')])).calls).toHaveLength(0);
});

test('the answer quotes what the tools said, and a failure as a failure', async () => {
  const { text } = await reply([
    says('read a.md then read b.md'),
    ...did('t1', 'read_file', { path: 'a.md' }, 'Milk'),
    ...did('t2', 'read_file', { path: 'b.md' }, 'Error: no file b.md. Nearest: a.md.'),
  ]);
  expect(text).toContain('- read a.md: Milk\n- read b.md: failed. no file b.md. Nearest: a.md.');
  expect(text).toMatch(/built-in demo model.*`durabot setup`/);
});

test('a message that arrives in the middle adds its steps, and a call skipped for it is made again', async () => {
  const messages = [
    says('read a.md then read b.md'),
    ...did('t1', 'read_file', { path: 'a.md' }, 'Skipped: a new message of the person arrived before this call began.'),
    says('list files'),
  ];
  expect((await reply(messages)).calls).toMatchObject([{ arguments: '{"path":"a.md"}' }]);
});

test('what was done in an earlier turn is not counted for this one', async () => {
  const earlier = [says('read a.md'), ...did('t1', 'read_file', { path: 'a.md' }, 'Milk')];
  const answered: ModelMessage = { role: 'assistant', text: 'Done.', calls: [] };
  expect((await reply([...earlier, answered, says('read a.md')])).calls).toHaveLength(1);
});

test('helpers in a row begin together, and what one reports later is passed on', async () => {
  const made = await reply([says('ask a helper to read a.md then ask a helper to read b.md then list files')]);
  expect(made.calls.map((call) => call.name)).toEqual(['spawn', 'spawn']);
  const note: ModelMessage = { role: 'user', text: '[durabot note]\nThe helper found Milk.\n[/durabot note]' };
  expect((await reply([note])).text).toMatch(/^A helper reports:\n\nThe helper found Milk\./);
});

test('without tools it says what is done, what is open and how to go on', async () => {
  const messages = [says('read a.md then run date'), ...did('t1', 'read_file', { path: 'a.md' }, 'Milk')];
  const { text, calls } = await reply(messages, []);
  expect(calls).toEqual([]);
  expect(text).toMatch(/Done:\n- read a\.md: Milk[\s\S]*Still open: run date\.\nTo go on, send me: run date/);
});

test('an order it does not understand is answered with what it is and what it can do', async () => {
  expect((await reply([says('What is love?')])).text).toMatch(/^I am durabot's built-in demo model[\s\S]*list files/);
  const part = await reply([says('list files then sing'), ...did('t1', 'list_dir', { path: '.' }, '(empty)')]);
  expect(part.text).toContain('I did not understand: sing');
});

test('a tool that is not offered is named', async () => {
  const { text } = await reply([says('run date')], offered.slice(0, 2));
  expect(text).toContain('I could not run date: the tool exec is not offered here.');
});

test('what it offers as still open it understands again', () => {
  const message = 'write "say `hi` to \'Bob\'" to a.txt then replace "a" with "b" in c.md then search "x y" in d';
  const again = planOf(
    planOf(message)
      .map((part) => (isStep(part) ? part.title : '?'))
      .join(', then '),
  );
  expect(again.map((part) => isStep(part) && part.args)).toEqual(
    planOf(message).map((part) => isStep(part) && part.args),
  );
});

test('a stop ends it', async () => {
  const request: ModelRequest = {
    model: 'demo',
    system: '',
    messages: [says('hi')],
    tools: [],
    maxTokens: 1,
    temperature: 0,
  };
  const stop = new AbortController();
  const asked = createDemoProvider().generate(request, () => stop.abort(new Error('stopped')), stop.signal);
  await expect(asked).rejects.toThrow('stopped');
});
