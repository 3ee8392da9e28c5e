import { isIP } from 'node:net';
import { isInRange, parsePublicRange, prefixesOf } from '../model/public-ranges.ts';
import type { FleetRecord, HostRecord } from '../model/records.ts';
import type { NetworkHost } from './network-host.ts';

/**
 * What no guest of any host reaches, whatever is declared: addresses of hosts, of their controller, of fence devices; and the public ranges,
 * as prefixes. A public address is on one host or another, and is told as what it is, not as that host's: its move changes nothing here.
 * @returns sorted, none twice.
 */
export function outOfReach(
  { devices = [], public: ranges = [] }: Pick<FleetRecord, 'devices' | 'public'>,
  hosts: readonly NetworkHost[],
): readonly string[] {
  const shared = ranges.flatMap((text) => parsePublicRange(text) ?? []);
  const all = hosts.flatMap(({ offer }) => [...(offer?.underlay?.own ?? []), ...devicesOf(offer)]);
  const own = [...devices, ...all].filter((address) => !shared.some((range) => isInRange(range, address)));
  return [...new Set([...own, ...shared.flatMap(prefixesOf)])].sort();
}

/** What of a host's record is in it. */
export const outOfReachPart = (host: HostRecord | undefined): unknown => [
  host?.offer?.underlay?.own,
  devicesOf(host?.offer ?? null),
];

/** Whatever option names an address: it is a device's, or of what is behind it. */
const devicesOf = (offer: HostRecord['offer']): readonly string[] =>
  (offer?.fence ?? []).flatMap(({ options }) =>
    Object.values(options)
      .flatMap((value) => value.split(','))
      .map((value) => value.trim())
      .filter((value) => isIP(value) !== 0 && !value.includes('%')),
  );
