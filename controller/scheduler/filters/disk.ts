import type { Filter, Load, PlacementRequest } from '../contract.ts';

/** Overlays are thin and sizes are what they may grow to, so a pool may be promised several times over. */
const DISK_RATIO = 10;

const roomMiB = (request: PlacementRequest, { host, usedDiskMiB }: Load) =>
  (host.pools[request.pool]?.sizeMiB ?? 0) * DISK_RATIO - (usedDiskMiB.get(request.pool) ?? 0);

/** Asked for by name, a host is where the disk may be already. */
const isFull = (request: PlacementRequest, { host }: Load) =>
  request.only !== host.name && host.pools[request.pool]?.isFull === true;

export const disk: Filter = {
  name: 'disk',
  accepts: (request, load) => !isFull(request, load) && request.size.diskMiB <= roomMiB(request, load),
  reason: (request, load) =>
    isFull(request, load)
      ? `its pool ${request.pool} has run out of space`
      : `needs ${request.size.diskMiB} MiB in pool ${request.pool}, ${Math.max(0, roomMiB(request, load))} MiB left to promise`,
};
