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

export const isAway = ({ state }: Pick<HostRecord, 'state'>): boolean =>
  state === 'down' || state === 'fenced';

/**
 * Of edge hosts, those that give up what another one can have: they are emptied, or are empty and may go down at any moment, and another is there
 * that is not. They serve on what still comes to them.
 */
export function leavingEdges(
  edges: readonly Pick<HostRecord, 'name' | 'state' | 'draining'>[],
): ReadonlySet<string> {
  const isLeft = edges.some((edge) => !edge.draining && !isAway(edge));
  return new Set(isLeft ? edges.filter(({ draining }) => draining).map(({ name }) => name) : []);
}

/** What of a host's record `edgeHosts` and `leavingEdges` look at. */
export const edgePart = (host: HostRecord | undefined): unknown => [
  host?.offer?.edge,
  host?.offer?.labels[LABEL],
  host?.encryption?.state === 'alone',
  isColliding(host),
  host?.offer?.edge === true && [host.draining, isAway(host)],
];
