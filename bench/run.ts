// npm run bench [-- --turns 50 --k 0,5]: turn latency and history size beside their floor, arms alternating turn by turn in one run.
// Only ratios of one run say something; absolute figures are for orientation.
import { parseArgs } from 'node:util';
import { silenceSdk } from '../test/support/chat.js';
import { type Arm, endOfRun, openFloor, openProduct } from './arms.js';
import { percentile, ratioOfMedians } from './statistics.js';

const { values } = parseArgs({
  options: {
    turns: { type: 'string', default: '50' },
    warm: { type: 'string', default: '20' },
    k: { type: 'string', default: '0,5' },
  },
});
const turns = Number(values.turns);
const ks = values.k.split(',').map(Number);
const address = process.env.DURABOT_TEST_TEMPORAL_ADDRESS ?? '';

silenceSdk();
const floor = await openFloor(address);
const regular = await openProduct('durabot, regular activities', { local: false });
const local = await openProduct('durabot, local reads', { local: true });
const arms: Arm[] = [floor, regular, local];
try {
  for (const k of ks) {
    for (let n = 0; n < Number(values.warm); n++) for (const arm of arms) await arm.turn(k);
    const times = new Map<Arm, number[]>(arms.map((arm) => [arm, []]));
    for (let n = 0; n < turns; n++) for (const arm of shuffled(arms)) times.get(arm)?.push(await arm.turn(k));
    for (const arm of arms) report(k, arm.name, times.get(arm) ?? [], times.get(floor) ?? []);
  }
  console.log(
    `history of a k = 5 turn with summaries: ${await historyOf(regular, 5)}; with local reads: ${await historyOf(local, 5)}`,
  );
} finally {
  for (const arm of arms) await arm.close();
}

function report(k: number, name: string, times: number[], floorTimes: number[]): void {
  const { median, low, high } = ratioOfMedians(times, floorTimes);
  const figures = [0.5, 0.95, 0.99].map((share) => percentile(times, share).toFixed(1).padStart(7));
  console.log(
    `k=${String(k).padEnd(3)} ${name.padEnd(28)} n=${times.length} p50/p95/p99 ms ${figures.join(' ')}  ${median.toFixed(2)} × floor (${low.toFixed(2)}–${high.toFixed(2)})`,
  );
}

async function historyOf({ chat }: Awaited<ReturnType<typeof openProduct>>, k: number): Promise<string> {
  const { turnId } = await chat.say(`k=${k}`, { chat: `history ${k}` });
  await endOfRun(chat, turnId ?? '');
  const handle = await chat.run(turnId ?? '');
  const { raw, historyLength } = await handle.describe();
  return `${raw.workflowExecutionInfo?.historySizeBytes?.toString()} bytes, ${historyLength} events`;
}

function shuffled<Item>(items: readonly Item[]): Item[] {
  return items
    .map((item) => ({ item, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}
