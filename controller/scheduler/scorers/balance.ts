import type { Load, PlacementRequest, Scorer } from '../contract.ts';

/** The fuller of the two resources after this placement, 0 to 1. */
const share = ({ size }: PlacementRequest, { host, usedCpus, usedMemoryMiB }: Load) =>
  Math.max((usedCpus + size.cpus) / host.cpus, (usedMemoryMiB + size.memoryMiB) / host.memoryMiB);

/** The host that is left the emptiest. */
export const balance: Scorer = {
  name: 'balance',
  score: share,
  reason: (request, load) => `${Math.round(share(request, load) * 100)} % full with it`,
};
