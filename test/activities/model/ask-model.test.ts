import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { askModel } from '../../../activities/model/ask-model.js';
import { toModelFailure } from '../../../activities/model/failures.js';
import type { ModelProvider, ModelReply, ModelRequest } from '../../../activities/model/model.js';
import { repeatedLength } from '../../../activities/model/seam.js';

const tool = { name: 'read_file', description: 'Reads.', parameters: {} };
const request: ModelRequest = {
  model: 'm',
  system: '',
  messages: [{ role: 'user', text: 'Hello' }],
  tools: [tool],
  maxTokens: 100,
  temperature: 0,
};
const usage = { inputTokens: 10, outputTokens: 2, cachedTokens: 1, reasoningTokens: 0 };
const call = (name: string) => ({ id: 'call_0', name, arguments: '{}' });
const says = (text: string, more: Partial<ModelReply> = {}): ModelReply => ({
  text,
  calls: [],
  usage,
  finishReason: 'stop',
  ...more,
});
const asksFor = (name: string, more: Partial<ModelReply> = {}): ModelReply =>
  says('', { calls: [call(name)], finishReason: 'tool calls', ...more });

async function ask(replies: (ModelReply | Error)[], asked = request) {
  const requests: ModelRequest[] = [];
  const provider: ModelProvider = {
    name: 'scripted',
    async generate(made, onDelta) {
      requests.push(made);
      const reply = replies.shift();
      if (reply === undefined) throw new Error('asked once too often');
      if (reply instanceof Error) throw reply;
      for (const piece of reply.text.match(/\S+\s*|\s+/g) ?? []) onDelta(piece);
      return reply;
    },
  };
  let shown = '';
  const answer = await askModel(provider, asked, {
    signal: new AbortController().signal,
    onText: (text) => (shown += text),
  });
  expect(shown).toBe(answer.text);
  expect(replies).toEqual([]);
  return { answer, requests };
}

test('calls that come with a good reason are carried out, whatever the reason is called', async () => {
  expect((await ask([asksFor('read_file')])).answer.calls).toEqual([call('read_file')]);
  expect((await ask([asksFor('read_file', { finishReason: 'stop', text: 'Looking.' })])).answer.text).toBe('Looking.');
});

test('calls that come with a cut are not carried out, and asked for again in short', async () => {
  const { answer, requests } = await ask([asksFor('write_file', { finishReason: 'length' }), asksFor('write_file')]);
  expect(answer.calls).toEqual([call('write_file')]);
  expect(requests[1]?.messages.at(-1)?.text).toMatch(/cut off at the length limit .* shorter arguments/);
});

test('a leaked notation around a name is removed', async () => {
  expect((await ask([asksFor('functions.read_file')])).answer.calls).toEqual([call('read_file')]);
  expect((await ask([asksFor('read_file<|channel|>commentary')])).answer.calls).toEqual([call('read_file')]);
});

test('a malformed name is asked for again once, then words alone', async () => {
  const { answer, requests } = await ask([
    asksFor('read file!', { text: 'Let me look.' }),
    asksFor(''),
    says('Cannot look.'),
  ]);
  expect(answer).toMatchObject({ text: 'Let me look.\n\nCannot look.', calls: [], requests: 3 });
  expect(requests.map((made) => made.tools.length)).toEqual([1, 1, 0]);
  expect(requests[1]?.messages.slice(1)).toMatchObject([
    { role: 'assistant', text: 'Let me look.\n\n' },
    { role: 'user' },
  ]);
});

test('of good and malformed calls the good ones are carried out', async () => {
  const { answer } = await ask([says('', { calls: [call(''), call('grep')], finishReason: 'tool calls' })]);
  expect(answer.calls).toEqual([call('grep')]);
});

test('an empty answer is asked for twice more, then without tools, then told', async () => {
  const { answer, requests } = await ask([says(''), says(' \n'), says(''), says('')]);
  expect(requests.map((made) => made.tools.length)).toEqual([1, 1, 1, 0]);
  expect(answer.text.trim()).toMatch(/^The model gave an empty answer/);
  expect((await ask([says(''), says('Here.')])).answer).toMatchObject({ text: 'Here.', requests: 2 });
});

test('an answer that was cut off is continued up to three times, without saying the seam twice', async () => {
  const { answer, requests } = await ask([
    says('One, two and thr', { finishReason: 'length' }),
    says('two and three, four', { finishReason: 'length' }),
    says(', five.'),
  ]);
  expect(answer).toMatchObject({ text: 'One, two and three, four, five.', finishReason: 'stop', requests: 3 });
  expect(requests[2]?.messages.slice(1)).toMatchObject([
    { role: 'assistant', text: 'One, two and three, four' },
    { role: 'user' },
  ]);
  const endless = await ask([0, 1, 2, 3].map((n) => says(`part ${n} `, { finishReason: 'length' })));
  expect(endless.answer.text).toMatch(/^part 0 part 1 part 2 part 3 \n\n\[The answer was cut off/);
});

test('a repeated seam is found, a chance likeness is not', () => {
  expect(repeatedLength('and then the sun', 'then the sun rose')).toBe(12);
  expect(repeatedLength('the c', 'cat')).toBe(0);
});

test('without tools, calls are not carried out', async () => {
  const { answer } = await ask([asksFor('read_file', { text: 'Done so far: nothing.' })], { ...request, tools: [] });
  expect(answer).toMatchObject({ text: 'Done so far: nothing.', calls: [] });
});

test('a refusal is the answer, whether it comes as a reason or as a status', async () => {
  const byStatus = Object.assign(new Error('flagged'), { status: 400, code: 'content_filter' });
  for (const replies of [[says('', { finishReason: 'refused' })], [byStatus]]) {
    const { answer } = await ask(replies as (ModelReply | Error)[]);
    expect(answer).toMatchObject({ finishReason: 'refused', calls: [] });
    expect(answer.text).toMatch(/^scripted refused to answer because of its content rules/);
  }
});

test('a stream that ends with an error is worth another try, and other failures leave as they came', async () => {
  const broken: unknown = await ask([says('Mil', { finishReason: 'error' })]).catch((error: unknown) => error);
  expect(toModelFailure(broken, { failures: 0, lastsMs: 0 })).toMatchObject({
    type: 'ModelUnreachable',
    nonRetryable: false,
  });
  const busy = Object.assign(new Error('busy'), { status: 503 });
  await expect(ask([says(''), busy])).rejects.toBe(busy);
});

test('the usage of all requests is summed, and estimated where a provider reports none', async () => {
  const { answer } = await ask([says(''), says('Here.')]);
  expect(answer).toMatchObject({ usage: { inputTokens: 20, outputTokens: 4, cachedTokens: 2 }, estimated: false });
  const unknown = (await ask([says('Here it is.', { usage: undefined })])).answer;
  expect(unknown.estimated).toBe(true);
  expect(unknown.usage.inputTokens).toBeGreaterThan(5);
  expect(unknown.usage.outputTokens).toBeGreaterThan(2);
});

test('whatever a model says, the requests for one answer come to an end', async () => {
  const reply = fc.record({
    text: fc.constantFrom('', ' ', 'text'),
    calls: fc.constantFrom([], [call('')], [call('bad name')], [call('grep')]),
    finishReason: fc.constantFrom<ModelReply['finishReason']>('stop', 'tool calls', 'length'),
  });
  await fc.assert(
    fc.asyncProperty(fc.infiniteStream(reply), fc.boolean(), async (replies, offered) => {
      let asked = 0;
      const provider: ModelProvider = {
        name: 'any',
        async generate() {
          asked += 1;
          return replies.next().value;
        },
      };
      const tools = offered ? [tool] : [];
      await askModel(
        provider,
        { ...request, tools },
        { signal: new AbortController().signal, onText: () => undefined },
      );
      expect(asked).toBeLessThanOrEqual(9);
    }),
  );
});
