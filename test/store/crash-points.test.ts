// A crash point ends its own process, so each test passes points in another one.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { armCrashPoint, crashPointNames, noCrashPoint } from '../../store/crash-points.js';

const passing = join(import.meta.dirname, '../support/crash-point-main.ts');
const runner = join(import.meta.dirname, '../support/run-typescript.mjs');

function pass(armed: string, ...points: string[]): Promise<{ survived: string[]; signal: string | null }> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [runner, passing, armed, ...points], (_error, stdout) => {
      resolve({ survived: stdout.split('\n').filter(Boolean), signal: child.signalCode });
    });
  });
}

test('an armed point kills the process, and nothing after it runs', async () => {
  const { survived, signal } = await pass(
    'outbox.after-send',
    'outbox.before-send',
    'outbox.after-send',
    'outbox.after-mark',
  );
  expect(survived).toEqual(['outbox.before-send']);
  expect(signal).toBe('SIGKILL');
});

test('a number arms a later pass', async () => {
  const { survived } = await pass(
    'tool.before-effect:3',
    'tool.before-effect',
    'tool.after-effect',
    'tool.before-effect',
    'tool.before-effect',
  );
  expect(survived).toEqual(['tool.before-effect', 'tool.after-effect', 'tool.before-effect']);
});

test('names with a hyphen are points, too', async () => {
  expect((await pass('turn.after-hand-over', 'turn.before-hand-over', 'turn.after-hand-over')).survived).toHaveLength(
    1,
  );
});

test.each(['outbox.send', 'outbox.after-sending', 'after-send', 'outbox.after-send:', ''])(
  'a name that is no point is refused: "%s"',
  (spec) => {
    expect(() => armCrashPoint(spec)).toThrow(/no crash point .* Known: intake\.commit/);
  },
);

test('the name of a point says its room first, and no point stands there twice', () => {
  expect(new Set(crashPointNames).size).toBe(crashPointNames.length);
  for (const name of crashPointNames) expect(() => armCrashPoint(name.replace('.', '.before-'))).not.toThrow();
});

test('unarmed, a point does nothing', () => {
  expect(() => noCrashPoint('tool.effect', 'before')).not.toThrow();
});
