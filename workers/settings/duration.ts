const factors = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** The same words everywhere: in tools, configuration and on the command line. */
export const durationForms = 'seconds as a number, or 30s, 5m, 2h, 7d';

/** Milliseconds; undefined for anything that is not one of `durationForms`. A bare number, also as text, is seconds. */
export function toMilliseconds(duration: string | number): number | undefined {
  const match = /^(\d+(?:\.\d+)?)([smhd]?)$/.exec(String(duration).trim());
  if (!match?.[1]) return undefined;
  return Math.round(Number(match[1]) * factors[(match[2] || 's') as keyof typeof factors]);
}
