// The variables that stand for no key of the file.
import { durationForms, toMilliseconds } from './duration.js';

export interface SingleVariables {
  maxConcurrent: number;
  callTimeoutMs: number;
  streamIdleMs: number;
}

export function readSingleVariables(environment: NodeJS.ProcessEnv, problems: string[]): SingleVariables {
  const read = <T>(variable: string, fallback: T, wants: string, parse: (text: string) => T | undefined): T => {
    const text = environment[variable];
    if (text === undefined || text === '') return fallback;
    const value = parse(text);
    if (value !== undefined) return value;
    problems.push(`${variable}: must be ${wants}, but is ${JSON.stringify(text.slice(0, 40))}.`);
    return fallback;
  };
  const idle = (text: string) => {
    const ms = toMilliseconds(text);
    return ms !== undefined && ms > 0 && ms <= 3_600_000 ? ms : undefined;
  };
  return {
    maxConcurrent: read('DURABOT_MAX_CONCURRENT_REQUESTS', 8, 'a whole number; 0 means no cap', (text) =>
      /^\d{1,6}$/.test(text) ? Number(text) : undefined,
    ),
    callTimeoutMs: read(
      'DURABOT_LLM_TIMEOUT_S',
      300_000,
      `a duration: ${durationForms}; 0 means no limit`,
      toMilliseconds,
    ),
    streamIdleMs: read('DURABOT_STREAM_IDLE_TIMEOUT_S', 90_000, 'a duration above 0 and at most 3600 seconds', idle),
  };
}
