import type { Size } from './service.ts';

export type SizeTable = Readonly<Record<string, Omit<Size, 'name'>>>;

/** Percent of one core that a gigahertz stands for: a core counts as 2.5 GHz. */
const ONE_GIGAHERTZ_PERCENT = 40;
const GIB = 1024;

/** Azure's sizes of 2012. Prices are metering's. An operator may give another table. */
export const SIZES: SizeTable = {
  'extra-small': { cpus: 1, memoryMiB: 768, diskMiB: 20 * GIB, cpuQuotaPercent: ONE_GIGAHERTZ_PERCENT },
  small: { cpus: 1, memoryMiB: 1792, diskMiB: 40 * GIB, cpuQuotaPercent: null },
  medium: { cpus: 2, memoryMiB: 3584, diskMiB: 60 * GIB, cpuQuotaPercent: null },
  large: { cpus: 4, memoryMiB: 7168, diskMiB: 80 * GIB, cpuQuotaPercent: null },
  'extra-large': { cpus: 8, memoryMiB: 14_336, diskMiB: 160 * GIB, cpuQuotaPercent: null },
};
