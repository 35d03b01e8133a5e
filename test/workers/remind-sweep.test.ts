// An engine that is away, and a process that has something to tell it.
import { expect, test } from '@jest/globals';
import { remindSweep } from '../../workers/remind-sweep.js';

/** Away for so many questions; `heard` resolves with the first one that it answers. */
function engineAwayFor(times: number) {
  let asked = 0;
  let tell = () => {};
  const heard = new Promise<void>((resolve) => {
    tell = resolve;
  });
  const wakeReconcile = async () => {
    asked++;
    if (asked <= times) throw new Error('away');
    tell();
  };
  return { wakeReconcile, heard, asked: () => asked };
}

test('a sweep is asked for until the engine has heard of it, and then no more', async () => {
  const engine = engineAwayFor(3);
  const reminder = remindSweep(engine, 1);
  reminder.soon();
  reminder.soon();
  await engine.heard;
  expect(engine.asked()).toBe(4);
  reminder.stop();
});

test('what is left while the engine is being asked is asked for again', async () => {
  let asked = 0;
  let finish = () => {};
  const again = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const reminder = remindSweep(
    {
      async wakeReconcile() {
        if (++asked === 1) reminder.soon();
        else finish();
      },
    },
    1,
  );
  reminder.soon();
  await again;
  expect(asked).toBe(2);
  reminder.stop();
});
