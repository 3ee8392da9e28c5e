import type { FenceDevice } from './report.ts';

/**
 * Not one of fence-agents: the controller itself shuts a host out of a Ceph cluster, by its addresses. It proves nothing but that
 * the host's disks in that cluster are written no more.
 */
export const STORAGE_FENCE = 'fence_ceph_blocklist';

const ADDRESS = /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/;

export const isStorageFence = ({ agent }: Pick<FenceDevice, 'agent'>): boolean => agent === STORAGE_FENCE;

/** The addresses that a storage fence shuts out: option `addresses`, with commas between them. Null: they are none. */
export function addressesOf({ options }: Pick<FenceDevice, 'options'>): readonly string[] | null {
  const addresses = (options.addresses ?? '').split(',').map((each) => each.trim());
  return addresses.every((each) => ADDRESS.test(each)) ? addresses : null;
}

/** Those of all storage fences of a host; null: it has none. */
export function fencedAddresses(devices: readonly FenceDevice[]): readonly string[] | null {
  const fences = devices.filter(isStorageFence);
  return fences.length === 0 ? null : fences.flatMap((each) => addressesOf(each) ?? []);
}
