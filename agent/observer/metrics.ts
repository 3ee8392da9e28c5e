import { currentLoad, mem } from 'systeminformation';
import type { Disks } from '../disks/contract.ts';
import type { Report } from '../protocol/index.ts';

const MIB = 2 ** 20;

/** Figures of the host now. CPU is the share since the last call. */
export async function collectMetrics(disks: Disks): Promise<NonNullable<Report['metrics']>> {
  const [load, memory, pools] = await Promise.all([currentLoad(), mem(), disks.pools()]);
  return {
    cpuPercent: Math.round(load.currentLoad * 10) / 10,
    memoryUsedMiB: Math.round((memory.total - memory.available) / MIB),
    pools: pools.map(({ name, freeMiB, totalMiB }) => ({ name, freeMiB, totalMiB })),
    agentRssMiB: Math.round(process.memoryUsage.rss() / MIB),
  };
}
