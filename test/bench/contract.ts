/** One line of the result: what was measured in this run, beside its baseline or its limit. */
export interface Measurement {
  readonly benchmark: string;
  /** For example `ratio to bare QEMU`, `milliseconds`, `placements a second`. */
  readonly unit: string;
  /** The figure that the target speaks of. */
  readonly value: number;
  readonly target: { readonly limit: number; readonly better: 'lower' | 'higher' };
  /** Every single reading behind the figure, for example `{bare: [3400, 3390], weft: [3600, 3580]}`, milliseconds unless named otherwise. */
  readonly readings: Readonly<Record<string, readonly number[]>>;
  /** How it was measured, in one sentence. */
  readonly note: string;
}

export interface BenchmarkOptions {
  /** Pairs of baseline and measurement; each benchmark has a default of its own. */
  readonly rounds: number | null;
  readonly say: (line: string) => void;
}

export interface Benchmark {
  readonly name: string;
  readonly about: string;
  run(options: BenchmarkOptions): Promise<readonly Measurement[]>;
}

export const isMet = ({ value, target }: Measurement): boolean =>
  target.better === 'lower' ? value <= target.limit : value >= target.limit;
