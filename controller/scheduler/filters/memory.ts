import type { Filter } from '../contract.ts';

export const memory: Filter = {
  name: 'memory',
  accepts: ({ size }, { host, usedMemoryMiB }) => usedMemoryMiB + size.memoryMiB <= host.memoryMiB,
  reason: ({ size }, { host, usedMemoryMiB }) =>
    `needs ${size.memoryMiB} MiB of memory, ${Math.max(0, host.memoryMiB - usedMemoryMiB)} of ${host.memoryMiB} MiB free`,
};
