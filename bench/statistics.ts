/** Of sorted or unsorted numbers; the smallest value that is not below the share. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

export interface Ratio {
  median: number;
  low: number;
  high: number;
}

/** Ratio of medians with a 95 % bootstrap interval, of 1,000 resamples. */
export function ratioOfMedians(ours: readonly number[], floor: readonly number[]): Ratio {
  const ratios = Array.from({ length: 1_000 }, () => median(resample(ours)) / median(resample(floor)));
  return { median: median(ours) / median(floor), low: percentile(ratios, 0.025), high: percentile(ratios, 0.975) };
}

function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

function resample(values: readonly number[]): number[] {
  return values.map(() => values[Math.floor(Math.random() * values.length)] ?? Number.NaN);
}
