export interface BackOff {
  /** Wait after the first failure. */
  readonly firstMs: number;
  readonly maximumMs: number;
  readonly factor: number;
}

/** Milliseconds to wait after `failures` (≥ 1) failures in a row. Deterministic; add jitter at the call. */
export function backOffMs(policy: BackOff, failures: number): number {
  if (failures < 1) return 0;
  return Math.min(policy.maximumMs, policy.firstMs * policy.factor ** (failures - 1));
}
