import { z } from 'zod';
import type { FenceDevice } from './report.ts';

/**
 * Not one of fence-agents: the controller itself shuts a host out of a Ceph cluster, by its addresses. It proves nothing but that
 * the host's disks in that cluster are written no more.
 */
export const STORAGE_FENCE = 'fence_ceph_blocklist';

const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/;
const ipv6 = z.ipv6();
/** Of one link only, or an IPv4 address in disguise: Ceph sees no host under one. */
const NEVER_SEEN = /^(?:fe[89ab][0-9a-f]:|::ffff:|::$|::1$)/;

export const isStorageFence = ({ agent }: Pick<FenceDevice, 'agent'>): boolean => agent === STORAGE_FENCE;

/** One address as Ceph writes it, without brackets: of IPv6 the shortest form (RFC 5952). Null: it is none. */
export function plainAddress(text: string): string | null {
  if (IPV4.test(text)) return text;
  const bare = text.replace(/^\[(.*)\]$/, '$1');
  if (!ipv6.safeParse(bare).success) return null;
  return new URL(`http://[${bare}]`).hostname.slice(1, -1);
}

/** The addresses that a storage fence shuts out: option `addresses`, with commas between them. Null: they are none. */
export function addressesOf({ options }: Pick<FenceDevice, 'options'>): readonly string[] | null {
  const addresses = (options.addresses ?? '').split(',').map((each) => plainAddress(each.trim()));
  return addresses.every((each) => each !== null && !NEVER_SEEN.test(each)) ? (addresses as string[]) : null;
}

/** Those of all storage fences of a host; null: it has none. */
export function fencedAddresses(devices: readonly FenceDevice[]): readonly string[] | null {
  const fences = devices.filter(isStorageFence);
  return fences.length === 0 ? null : fences.flatMap((each) => addressesOf(each) ?? []);
}
