import { expect, jest, test } from '@jest/globals';
import { ApplicationFailure, Context } from '@temporalio/activity';
import { MockActivityEnvironment } from '@temporalio/testing';
import { asFailure, beating, thisAttempt, whileStoreIsAway } from '../../activities/attempt.js';
import { type Attempt, NotNow, overtaken } from '../../store/rows.js';

const away = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });

test('an attempt is known by its run and number, and its token is never the same', async () => {
  const environment = new MockActivityEnvironment({
    attempt: 3,
    workflowExecution: { workflowId: 'turn/1/2', runId: 'run-1' },
  });
  const drawn: Attempt[] = [];
  await environment.run(async () => {
    drawn.push(thisAttempt(), thisAttempt());
  });
  const [first, second] = drawn;
  expect(first).toMatchObject({ workflowId: 'turn/1/2', runId: 'run-1', number: 3 });
  expect(second?.token).not.toBe(first?.token);
});

test('work that lasts gives signs of life that say what it does, and stops giving them at its end', async () => {
  const environment = new MockActivityEnvironment();
  const heard: unknown[] = [];
  environment.on('heartbeat', (details: unknown) => heard.push(details));
  await environment.run(() =>
    beating(
      async () => {
        while (heard.length < 2) await new Promise((resolve) => setTimeout(resolve, 20));
      },
      () => 'asking',
    ),
  );
  expect(heard).toEqual(['asking', 'asking']);
});

test('a local activity gives none', async () => {
  const environment = new MockActivityEnvironment({ isLocal: true });
  const heartbeat = jest.fn();
  environment.on('heartbeat', heartbeat);
  await environment.run(() => beating(async () => new Promise((resolve) => setTimeout(resolve, 300))));
  expect(heartbeat).not.toHaveBeenCalled();
});

test('what it is too early for fails retryably, with its own delay', async () => {
  const failure = await asFailure(async () => {
    throw new NotNow('Paused', 'The agent is paused', 5_000);
  }).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(ApplicationFailure);
  expect(failure).toMatchObject({ type: 'Paused', nonRetryable: false, nextRetryDelay: 5_000 });
  await expect(asFailure(() => Promise.reject(overtaken('later')))).rejects.toMatchObject({ type: 'Overtaken' });
});

test('a store that does not answer is waited for, anything else is not', async () => {
  let tries = 0;
  const work = async () => {
    if (++tries < 3) throw away;
    return 'kept';
  };
  expect(await whileStoreIsAway(10_000, work)).toBe('kept');
  await expect(whileStoreIsAway(10_000, () => Promise.reject(new Error('a bug')))).rejects.toThrow('a bug');
  expect(tries).toBe(3);
});

test('a store that stays away ends the attempt retryably', async () => {
  const failure = await asFailure(() => whileStoreIsAway(0, () => Promise.reject(away))).catch(
    (error: unknown) => error,
  );
  expect(failure).toMatchObject({ type: 'StoreAway', nonRetryable: false });
});

test('a cancel reaches work that looks at its context', async () => {
  const environment = new MockActivityEnvironment();
  const run = environment.run(() => beating(() => Context.current().cancelled));
  environment.cancel('CANCELLED');
  await expect(run).rejects.toMatchObject({ name: 'CancelledFailure' });
});
