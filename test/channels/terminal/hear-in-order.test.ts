import { expect, test } from '@jest/globals';
import { hearInOrder } from '../../../channels/terminal/follow-conversation.js';

function listen() {
  const heard: string[] = [];
  const hear = hearInOrder({
    text: ({ step, from, text, anew }) => heard.push(`${step}@${from}${anew ? ' anew' : ''} ${text}`),
    call: ({ callId, summary, state }) => heard.push(`${callId} ${summary} ${state}`),
  });
  return {
    heard,
    piece: (step: number, attempt: number, offset: number, text: string) =>
      hear({ kind: 'delta', word: { turn: '1-1', step, attempt, offset, text } }),
    call: (call: string, summary: string, state: string) =>
      hear({ kind: 'progress', word: { turn: '1-1', call, summary, state } }),
  };
}

test('a new attempt begins its step anew, and pieces of the one before are dropped', () => {
  const { heard, piece } = listen();
  piece(1, 1, 0, 'I thi');
  piece(1, 2, 0, 'We ');
  piece(1, 1, 5, 'nk');
  piece(1, 2, 3, 'know');
  expect(heard).toEqual(['1@0 I thi', '1@0 anew We ', '1@3 know']);
});

test('a piece that was heard already is dropped, and a later step goes on', () => {
  const { heard, piece } = listen();
  piece(1, 1, 0, 'Hello');
  piece(1, 1, 0, 'Hello');
  piece(2, 1, 0, 'Again');
  piece(1, 3, 0, 'late');
  expect(heard).toEqual(['1@0 Hello', '2@0 Again']);
});

test('the end of a call is told with the summary of its beginning', () => {
  const { heard, call } = listen();
  call('s1.c1', 'read_file a.md', 'planned');
  call('s1.c1', '', 'done');
  expect(heard).toEqual(['s1.c1 read_file a.md planned', 's1.c1 read_file a.md done']);
});
