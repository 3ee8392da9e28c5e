import type { HostRecord } from '../model/records.ts';
import { isColliding } from './collisions.ts';
import type { NetworkHost } from './network-host.ts';

/** A host's label that says whether it is to be an edge host. */
const LABEL = 'edge';

/**
 * Hosts that can serve endpoints to the world, reach the guests of others, and are not told not to; where one is told to, only those that
 * are. To one whose networks are the fleet's too, guests would be in the way of what it lives by.
 */
export function edgeHosts(hosts: readonly NetworkHost[]): ReadonlySet<string> {
  const able = hosts.filter(
    (host) =>
      host.offer?.edge === true &&
      host.offer.labels[LABEL] !== 'false' &&
      host.encryption?.state !== 'alone' &&
      !isColliding(host),
  );
  const chosen = able.filter(({ offer }) => offer?.labels[LABEL] === 'true');
  return new Set((chosen.length > 0 ? chosen : able).map(({ name }) => name));
}

/** What of a host's record `edgeHosts` looks at. */
export const edgePart = (host: HostRecord | undefined): unknown => [
  host?.offer?.edge,
  host?.offer?.labels[LABEL],
  host?.encryption?.state === 'alone',
  isColliding(host),
];
