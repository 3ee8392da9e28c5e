import { isIP } from 'node:net';
import type { FleetRecord, HostRecord } from '../model/records.ts';

/** Addresses that no guest of any host reaches, whatever is declared: hosts' own, their controller's, and fence devices'. Sorted. */
export function outOfReach(
  { devices }: Pick<FleetRecord, 'devices'>,
  hosts: readonly HostRecord[],
): readonly string[] {
  const all = hosts.flatMap(({ offer }) => [...(offer?.underlay?.own ?? []), ...devicesOf(offer)]);
  return [...new Set([...(devices ?? []), ...all])].sort();
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
