// The one list of places where a kill test may end the process. Armed once by workers/; else each is one comparison.

/** Each point is two places: `<point>.before` its effect and `<point>.after` it. */
export const crashPointNames = [
  'intake.commit',
  'intake.acknowledge',
  'turn.start',
  'turn.task',
  'model.load-context',
  'model.request',
  'model.first-token',
  'model.record',
  'tool.intend',
  'tool.effect',
  'tool.record',
  'subagent.start',
  'subagent.result',
  'transcript.append',
  'outbox.insert',
  'outbox.send',
  'outbox.receipt',
  'outbox.mark',
  'turn.hand-over',
] as const;

export type CrashPointName = (typeof crashPointNames)[number];
export type CrashPoint = (name: CrashPointName, side: 'before' | 'after') => void;

export const noCrashPoint: CrashPoint = () => {};

/**
 * `spec` is `outbox.after-send` or `outbox.after-send:2` (the second pass): there the process kills itself by SIGKILL.
 * Throws a plain sentence for a name that is not in the list.
 */
export function armCrashPoint(spec: string): CrashPoint {
  const match = /^([a-z]+)\.(before|after)-([a-z-]+)(?::(\d+))?$/.exec(spec);
  const armed = match && crashPointNames.find((name) => name === `${match[1]}.${match[3]}`);
  if (!armed) throw new Error(`DURABOT_CRASH_AT: no crash point ${spec}. Known: ${crashPointNames.join(', ')}.`);
  const armedSide = match[2];
  let passes = Number(match[4] ?? 1);
  return (name, side) => {
    if (name !== armed || side !== armedSide || --passes > 0) return;
    process.kill(process.pid, 'SIGKILL');
    // The signal is delivered asynchronously: nothing after this line may run.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  };
}
