import { overlap, range6Of, SERVICE_OFFSET } from '../../../agent/kit/addressing.ts';
import type { HostOffer } from '../../../agent/protocol/index.ts';
import type { FleetRecord, HostRecord } from '../../model/records.ts';
import type { Draft } from '../draft.ts';

/** The one before is where the fleet's name servers are reached. */
const FIRST_NUMBER = SERVICE_OFFSET + 1;
const LAST_NUMBER = 1_000;

const unnumbered = (hosts: readonly HostRecord[]): readonly HostRecord[] =>
  hosts.filter(({ number, offer }) => number === undefined && offer?.underlay !== undefined);

/** Hosts with an underlay, or that are said to collide. */
const underlying = (hosts: readonly HostRecord[]): readonly HostRecord[] =>
  hosts.filter(({ offer, collision }) => offer?.underlay !== undefined || (collision ?? null) !== null);

/** Gives hosts their place on the backbone, and finds those whose own networks are where the fleet's are to be. */
export function followHostNetworks(draft: Draft): void {
  numberHosts(draft);
  for (const host of draft.of('hosts', underlying)) {
    const collision = collisionOf(host, draft.world.fleet);
    if (collision === (host.collision ?? null)) continue;
    draft.put('hosts', host.name, { ...host, collision });
    draft.tell(
      'host-collision',
      host.name,
      collision ?? 'none of its networks overlaps the fleet’s ranges any more',
    );
  }
}

function numberHosts(draft: Draft): void {
  const waiting = draft.of('hosts', unnumbered);
  if (waiting.length === 0) return;
  const taken = new Set(draft.all('hosts').map(({ number }) => number));
  let number = FIRST_NUMBER;
  for (const host of waiting) {
    while (taken.has(number)) number++;
    // Beyond that a host is on no backbone: its guests reach those of no other one.
    if (number > LAST_NUMBER) return;
    draft.put('hosts', host.name, { ...host, number });
    number++;
  }
}

/** What was found of an offer, which never changes, in a fleet. */
const known = new WeakMap<object, { readonly fleet: FleetRecord; readonly collision: string | null }>();

function collisionOf({ offer }: HostRecord, fleet: FleetRecord): string | null {
  if (!offer) return null;
  const found = known.get(offer);
  if (found?.fleet === fleet) return found.collision;
  const collision = findCollision(offer, fleet);
  known.set(offer, { fleet, collision });
  return collision;
}

function findCollision({ underlay }: HostOffer, { range, uuid }: FleetRecord): string | null {
  for (const network of underlay?.networks ?? [])
    for (const own of [range, range6Of(uuid)])
      if (overlap(network, own))
        return `its network ${network} overlaps ${own}, which is the fleet's for guests`;
  return null;
}
