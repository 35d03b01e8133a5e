// What a person does: `durabot serve` runs, `durabot run` asks something that needs three tools, the process is killed in the middle and
// started again, and the answer arrives. The commands are the built ones; only the model behind them is scripted.
import type { ChildProcess } from 'node:child_process';
import { text as readAll } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { readJournal } from './journal.js';
import { readExecLog, readWorkspace, runningCommands } from './observe.js';
import { openStage, type Stage } from './processes.js';
import { toText } from './script.js';

let stage: Stage;

beforeAll(async () => {
  stage = await openStage();
}, 120_000);

afterAll(async () => {
  await stage?.close();
}, 60_000);

async function serve(): Promise<ChildProcess> {
  const child = stage.command('serve');
  await new Promise<void>((resolve, reject) => {
    child.stdout?.once('data', () => resolve());
    child.once('exit', (code) => reject(new Error(`serve ended with ${code}`)));
  });
  return child;
}

interface Answered {
  outcome: string;
  answer: string;
  turn: string;
  toolCalls: number;
}

function run(text: string): { child: ChildProcess; answered: Promise<Answered> } {
  const child = stage.command('run', '--json', '--key', 'the-question', text);
  if (!child.stdout) throw new Error('no stdout');
  return { child, answered: readAll(child.stdout).then((line) => JSON.parse(line) as Answered) };
}

async function killed(child: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
}

const asked = () => readJournal(stage.journal).lines.filter((line) => line.kind === 'asked');

test('a turn of three tools goes on after kill -9 where it was, and nothing finished is done or bought again', async () => {
  const text = toText(1, {
    steps: [[{ tool: 'write_file' }], [{ tool: 'exec', ms: 2_000 }], [{ tool: 'write_file' }]],
  });
  const first = await serve();
  const question = run(text);
  while ((await runningCommands(stage.home)).length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  await killed(first);
  expect(asked()).toHaveLength(2); // the answer to the third is not even asked for yet
  const second = await serve();

  const { outcome, answer, turn, toolCalls } = await question.answered;
  expect({ outcome, toolCalls }).toEqual({ outcome: 'answered', toolCalls: 3 });
  expect(answer).toContain('Answered #1.');
  expect(asked().map(({ step }) => step)).toEqual([1, 2, 3, 4]);
  expect((await readExecLog(stage.workspace)).map(({ name, word }) => `${name} ${word}`)).toEqual([
    '1.2 began',
    '1.2 ended',
  ]);
  expect([...(await readWorkspace(stage.workspace)).written.keys()].sort()).toEqual(['1.1', '1.3']);

  // The same key is the same message, now and after another restart.
  await killed(second);
  expect(await run(text).answered).toMatchObject({ turn, answer, outcome });
  expect(asked()).toHaveLength(4);
}, 120_000);
