import type { Candidate, Filter, Load, PlacementRequest } from '../contract.ts';

type Offered = Candidate['pools'][string];

const isOfTheWrongKind = ({ isMachine }: PlacementRequest, offered: Offered) =>
  offered.isForMachines === true && isMachine === false;

/** By name and id it is the pool that has the disk, and in fact it may not be. */
const isApart = ({ apart }: PlacementRequest, { host }: Load) => apart?.[host.name] !== undefined;

const isOdd = ({ isNewMachine, pool: name, only }: PlacementRequest, { host }: Load) =>
  isNewMachine === true && only !== host.name && host.pools[name]?.isOdd === true;

export const pool: Filter = {
  name: 'pool',
  accepts: (request, load) => {
    const offered = load.host.pools[request.pool];
    if (offered === undefined || isOfTheWrongKind(request, offered)) return false;
    if (request.poolId !== null && offered.id !== request.poolId) return false;
    return !isApart(request, load) && !isOdd(request, load);
  },
  reason: (request, load) => {
    const { pools } = load.host;
    const offered = pools[request.pool];
    if (offered === undefined)
      return `the host has no pool ${request.pool} (it has ${Object.keys(pools).join(', ') || 'none'})`;
    if (isOfTheWrongKind(request, offered))
      return `the host's pool ${request.pool} is in Ceph: it takes machines, no instances`;
    if (isOdd(request, load))
      return `the host's pool ${request.pool} is not the storage that other hosts have under this name and id`;
    if (request.apart?.[load.host.name] === 'unknown')
      return `the host has yet to find what the one that has its disk left in pool ${request.pool}`;
    return isApart(request, load)
      ? `the host's pool ${request.pool} has the name and id of the one that has its disk, but is a copy or another mount`
      : `the host's pool ${request.pool} is another one than the one that has its disk`;
  },
};
