import { currentLoad, mem } from 'systeminformation';
import type { PoolView } from '../disks/contract.ts';
import type { HostMetrics } from '../protocol/index.ts';

const MIB = 2 ** 20;

/** Figures of the host now. CPU is the share since the last call. */
export async function collectMetrics(pools: readonly PoolView[]): Promise<HostMetrics> {
  const [load, memory] = await Promise.all([currentLoad(), mem()]);
  return {
    cpuPercent: Math.round(load.currentLoad * 10) / 10,
    memoryUsedMiB: Math.round((memory.total - memory.available) / MIB),
    pools: pools.map(({ name, freeMiB, totalMiB }) => ({ name, freeMiB, totalMiB })),
    agentRssMiB: Math.round(process.memoryUsage.rss() / MIB),
  };
}
