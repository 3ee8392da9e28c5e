/** A VM's share of its host. */
export interface SizeSpec {
  readonly cpus: number;
  readonly memoryMiB: number;
  /** Cap per vCPU, percent of one core; null: none. */
  readonly cpuQuotaPercent: number | null;
}
