import { mem } from 'systeminformation';
import type { PoolView } from '../disks/contract.ts';
import type { HostMetrics } from '../protocol/index.ts';
import { CpuShare } from './cpu-share.ts';

const MIB = 2 ** 20;
const cpu = new CpuShare();

/** Figures of the host now. CPU is the share since the last call. */
export async function collectMetrics(pools: readonly PoolView[]): Promise<HostMetrics> {
  const [busy, memory] = await Promise.all([cpu.look(), mem()]);
  return {
    cpuPercent: Math.round(busy * 10) / 10,
    memoryUsedMiB: Math.round((memory.total - memory.available) / MIB),
    pools: pools.map(({ name, freeMiB, totalMiB }) => ({ name, freeMiB, totalMiB })),
    agentRssMiB: Math.round(process.memoryUsage.rss() / MIB),
  };
}
