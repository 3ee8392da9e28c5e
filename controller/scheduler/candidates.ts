import type { ClaimsRecord, HostRecord } from '../model/records.ts';
import type { Candidate } from './contract.ts';
import type { ExistingClaim } from './placer.ts';

/** A host as placement sees it; null until it has said what it offers. */
export function candidateOf(record: HostRecord): Candidate | null {
  const { offer, facts } = record;
  if (!offer || !facts) return null;
  return {
    name: record.name,
    state: record.state,
    draining: record.draining,
    heldOff: record.heldOffUntilMs !== null,
    ...(record.collision ? { collision: record.collision } : {}),
    ...(record.encryption?.state === 'alone'
      ? { alone: record.encryption.problem ?? 'it cannot encrypt' }
      : {}),
    architecture: facts.architecture,
    faultDomain: offer.faultDomain.split('/').filter((part) => part !== ''),
    cpus: Math.floor(offer.cpus * offer.cpuRatio),
    memoryMiB: offer.memoryMiB,
    pools: Object.fromEntries(
      offer.pools.map(({ name, kind, sizeMiB, id }) => [
        name,
        {
          sizeMiB,
          id: id ?? null,
          isFull: record.fullPools?.includes(name) === true,
          isOdd: record.apartPools?.[name]?.isOdd === true,
          ...(kind === 'rbd' ? { isForMachines: true } : {}),
        },
      ]),
    ),
  };
}

/** Claims of one host. Their keys are `app/name@incarnation`. @param groupOf what a VM is spread with. */
export function claimsOf(
  host: string,
  record: ClaimsRecord,
  groupOf: (vmId: string) => string,
): ExistingClaim[] {
  return Object.entries(record.vms).map(([key, claim]) => ({
    ...claim,
    host,
    group: groupOf(key.slice(0, key.lastIndexOf('@'))),
  }));
}
