const sorted = (values: readonly number[]) => [...values].sort((one, other) => one - other);

/** @throws RangeError for no values at all. */
export function percentile(values: readonly number[], share: number): number {
  const value = sorted(values)[Math.min(values.length - 1, Math.ceil(values.length * share) - 1)];
  if (value === undefined) throw new RangeError('no values');
  return value;
}

export const median = (values: readonly number[]): number => percentile(values, 0.5);

/** Median of the ratios of readings taken in pairs, one right after the other. */
export const pairedRatio = (measured: readonly number[], baseline: readonly number[]): number =>
  median(measured.map((value, index) => value / (baseline[index] ?? Number.NaN)));

export const rounded = (value: number, digits = 3): number => Number(value.toFixed(digits));
