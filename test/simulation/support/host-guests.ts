import type { FakeDomain, FakeHypervisor } from '../../../agent/hypervisor/fake/fake-hypervisor.ts';
import { isStill } from './migration/stands-still.ts';
import { RBD_POOL } from './shared-pool.ts';

export interface Guest {
  readonly vmId: string;
  readonly kind: 'instance' | 'machine';
  readonly incarnation: number;
  readonly pool: string;
  /** Of its interface; null: it is not known. */
  readonly mac: string | null;
}

/** What runs on a host and can write its disk, by the ids of VMs. @param isShutOut whether the host is shut out of Ceph. */
export function runningOn({ domains }: FakeHypervisor, isShutOut: boolean): ReadonlyMap<string, Guest> {
  const found = new Map<string, Guest>();
  for (const domain of domains.values()) {
    const { mark, state } = domain;
    if (!mark || state === 'shut-off' || isStill(domain) || (isShutOut && isInCeph(domain))) continue;
    const { id: vmId, kind, incarnation } = mark;
    found.set(vmId, {
      ...{ vmId, kind, incarnation },
      ...{ pool: poolOf(domain), mac: domain.spec?.nic.mac ?? null },
    });
  }
  return found;
}

/** `id@incarnation` of those that are so. */
export function copiesOn(
  { domains }: FakeHypervisor,
  are: (domain: FakeDomain) => boolean,
): ReadonlySet<string> {
  return new Set([...domains.values()].filter(are).map(({ mark }) => `${mark?.id}@${mark?.incarnation}`));
}

export const isInCeph = (domain: FakeDomain): boolean => poolOf(domain) === RBD_POOL.name;

/** Simulated disks lie below the name of their pool. */
const poolOf = ({ spec }: FakeDomain): string => spec?.chain[0]?.path.split('/')[1] ?? '';
