import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { headBytes, KeptOutput, readKeptOutput, tailBytes } from '../../../../activities/tools/exec/kept-output.mjs';
import { newFolder } from './commands.js';

const folder = await newFolder();

test('however output comes in pieces, head and tail are what they were', async () => {
  const size = fc.integer({ min: 0, max: 3 * tailBytes });
  let file = 0;
  fc.assert(
    fc.property(fc.array(size, { maxLength: 8 }), (sizes) => {
      const path = join(folder, String(file++));
      const kept = new KeptOutput(path);
      const all = Buffer.from(
        Uint8Array.from({ length: sizes.reduce((sum, next) => sum + next, 0) }, (_, at) => (at * 7919) >> 8),
      );
      let at = 0;
      for (const bytes of sizes) {
        kept.write(all.subarray(at, at + bytes));
        at += bytes;
      }
      const read = readKeptOutput(path);
      expect(read.total).toBe(all.length);
      expect(read.head.length + read.omitted + read.tail.length).toBe(all.length);
      expect(read.head.equals(all.subarray(0, read.head.length))).toBe(true);
      expect(read.tail.equals(all.subarray(all.length - read.tail.length))).toBe(true);
    }),
    { numRuns: 60 },
  );
});

test('nothing is lost of what fits', () => {
  const path = join(folder, 'fits');
  new KeptOutput(path).write(Buffer.alloc(headBytes + tailBytes, 'x'));
  expect(readKeptOutput(path)).toMatchObject({ total: headBytes + tailBytes, omitted: 0 });
});

test('the file never grows beyond head, tail and its count', async () => {
  const path = join(folder, 'bounded');
  const kept = new KeptOutput(path);
  for (let chunk = 0; chunk < 200; chunk++) kept.write(Buffer.alloc(65_536));
  expect((await stat(path)).size).toBe(headBytes + tailBytes + 8);
});

test('a stream that was never written is empty', () => {
  expect(readKeptOutput(join(folder, 'missing'))).toMatchObject({ total: 0, omitted: 0 });
});
