import type { Filter } from '../contract.ts';

export const pool: Filter = {
  name: 'pool',
  accepts: ({ pool: name, poolId }, { host }) => {
    const offered = host.pools[name];
    return offered !== undefined && (poolId === null || offered.id === poolId);
  },
  reason: (request, { host }) =>
    host.pools[request.pool] !== undefined
      ? `the host's pool ${request.pool} is another one than the one that has its disk`
      : `the host has no pool ${request.pool} (it has ${Object.keys(host.pools).join(', ') || 'none'})`,
};
