// Passes crash points one after the other, as a process would: node run-typescript.mjs crash-point-main.ts <armed> <point> …
// A point is written as it is armed, `outbox.after-send`; each one that was survived is a line on stdout.
import { armCrashPoint, crashPointNames } from '../../store/crash-points.js';

const [armed = '', ...passed] = process.argv.slice(2);
const crashPoint = armCrashPoint(armed);
for (const point of passed) {
  const [room, side, what] = /^([a-z]+)\.(before|after)-(.+)$/.exec(point)?.slice(1) ?? [];
  const name = crashPointNames.find((known) => known === `${room}.${what}`);
  if (!name) throw new Error(`no point ${point}`);
  crashPoint(name, side === 'before' ? 'before' : 'after');
  process.stdout.write(`${point}\n`);
}
