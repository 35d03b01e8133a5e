import { expect, test } from '@jest/globals';
import { nearestNames } from '../../../activities/tools/nearest-names.js';

const tools = ['read_file', 'write_file', 'edit_file', 'list_dir', 'find_files', 'grep', 'exec'];

test.each([
  ['reed_file', ['read_file']],
  ['READ_FILE', ['read_file']],
  ['file', ['read_file', 'write_file', 'edit_file']],
  ['find_file', ['find_files', 'read_file']],
  ['dir_list', []],
  ['gerp', ['grep']],
  ['', []],
])('for %j the names %j were probably meant', (name, expected) => {
  expect(nearestNames(name, tools)).toEqual(expected);
});

test('no name is so long that it holds anybody up', () => {
  expect(nearestNames('x'.repeat(100_000), ['y'.repeat(100_000), 'x'.repeat(99_999)])).toHaveLength(1);
});
