import type { Filter } from '../contract.ts';

export const cpu: Filter = {
  name: 'cpu',
  accepts: ({ size }, { host, usedCpus }) => usedCpus + size.cpus <= host.cpus,
  reason: ({ size }, { host, usedCpus }) =>
    `needs ${size.cpus} CPU, ${Math.max(0, host.cpus - usedCpus)} of ${host.cpus} free`,
};
