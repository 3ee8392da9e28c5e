import type { Candidate, Filter, PlacementRequest } from '../contract.ts';

export const pool: Filter = {
  name: 'pool',
  accepts: (request, { host }) => {
    const offered = host.pools[request.pool];
    if (offered === undefined || isOfTheWrongKind(request, offered)) return false;
    return request.poolId === null || offered.id === request.poolId;
  },
  reason: (request, { host }) => {
    const offered = host.pools[request.pool];
    if (offered === undefined)
      return `the host has no pool ${request.pool} (it has ${Object.keys(host.pools).join(', ') || 'none'})`;
    return isOfTheWrongKind(request, offered)
      ? `the host's pool ${request.pool} is in Ceph: it takes machines, no instances`
      : `the host's pool ${request.pool} is another one than the one that has its disk`;
  },
};

const isOfTheWrongKind = (
  { isMachine }: PlacementRequest,
  { isForMachines = false }: Candidate['pools'][string],
): boolean => isForMachines && isMachine === false;
