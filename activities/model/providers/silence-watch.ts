import { ModelSilence } from '../failures.js';

/** Zero switches a timer off. */
export interface ModelTimeouts {
  /** Until the first sign of an answer. */
  callMs: number;
  /** The whole stream. */
  streamMs: number;
  /** Between two signs. */
  idleMs: number;
}

export interface SilenceWatch {
  /** Aborted by the caller's signal, with its reason, and by each timer, with a `ModelSilence`. */
  signal: AbortSignal;
  /** Rejects when `signal` is aborted. To be raced, since a client may be slow to notice. */
  broken: Promise<never>;
  heard(): void;
  stop(): void;
}

export function watchSilence({ callMs, streamMs, idleMs }: ModelTimeouts, outer: AbortSignal): SilenceWatch {
  const controller = new AbortController();
  const after = (ms: number, how: ModelSilence['how']) =>
    ms > 0 ? setTimeout(() => controller.abort(new ModelSilence(how)), ms) : undefined;
  const total = after(streamMs, 'stream took too long');
  const first = after(callMs, 'no answer in time');
  let idle: NodeJS.Timeout | undefined;
  let begun = false;

  const onOuterAbort = () => controller.abort(outer.reason);
  const broken = new Promise<never>((_resolve, reject) => {
    controller.signal.addEventListener('abort', () => reject(controller.signal.reason), { once: true });
  });
  broken.catch(() => undefined); // whoever races it hears of it; nobody may be racing yet
  if (outer.aborted) onOuterAbort();
  else outer.addEventListener('abort', onOuterAbort, { once: true });

  return {
    signal: controller.signal,
    broken,
    heard() {
      if (begun) {
        idle?.refresh();
        return;
      }
      begun = true;
      clearTimeout(first);
      idle = after(idleMs, 'silence in the stream');
    },
    stop() {
      for (const timer of [total, first, idle]) clearTimeout(timer);
      outer.removeEventListener('abort', onOuterAbort);
    },
  };
}
