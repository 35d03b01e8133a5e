import { expect, test } from '@jest/globals';
import { createRequests, type Requests } from '../../activities/requests.js';

const never = new AbortController().signal;

/** Work that ends when told to. */
function held(requests: Requests, rank: 'chat' | 'background', order: string[], name: string, signal = never) {
  let end = () => {};
  const done = requests.inTurn(rank, signal, () => {
    order.push(name);
    return new Promise<void>((resolve) => {
      end = resolve;
    });
  });
  return { done, end: () => end() };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('as many run at once as may, and chat goes before the rest of the line', async () => {
  const requests = createRequests(2);
  const order: string[] = [];
  const first = held(requests, 'background', order, 'first');
  const second = held(requests, 'background', order, 'second');
  const job = held(requests, 'background', order, 'job');
  const chat = held(requests, 'chat', order, 'chat');
  await turn();
  expect(order).toEqual(['first', 'second']);
  first.end();
  await turn();
  second.end();
  await turn();
  expect(order).toEqual(['first', 'second', 'chat', 'job']);
  chat.end();
  job.end();
  await Promise.all([first.done, second.done, job.done, chat.done]);
});

test('a full line is busy at once', async () => {
  const requests = createRequests(1);
  const order: string[] = [];
  const running = held(requests, 'chat', order, 'running');
  const waiting = held(requests, 'chat', order, 'waiting');
  await expect(requests.inTurn('chat', never, async () => {})).rejects.toMatchObject({ type: 'Busy', delayMs: 2_000 });
  running.end();
  await turn();
  waiting.end();
  await Promise.all([running.done, waiting.done]);
});

test('a waiter that is stopped leaves the line and runs nothing', async () => {
  const requests = createRequests(1);
  const order: string[] = [];
  const stop = new AbortController();
  const running = held(requests, 'chat', order, 'running');
  const waiting = held(requests, 'chat', order, 'waiting', stop.signal);
  stop.abort(new Error('stopped'));
  await expect(waiting.done).rejects.toThrow('stopped');
  running.end();
  await running.done;
  await turn();
  expect(order).toEqual(['running']);
  await requests.inTurn('chat', never, async () => order.push('next'));
  expect(order).toEqual(['running', 'next']);
});

test('work that fails gives its place back', async () => {
  const requests = createRequests(1);
  await expect(requests.inTurn('chat', never, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
  expect(await requests.inTurn('chat', never, async () => 'next')).toBe('next');
});

test('without a cap nobody waits', async () => {
  const requests = createRequests(0);
  const order: string[] = [];
  const all = Array.from({ length: 20 }, (_, n) => held(requests, 'chat', order, `${n}`));
  await turn();
  expect(order).toHaveLength(20);
  for (const one of all) one.end();
});
