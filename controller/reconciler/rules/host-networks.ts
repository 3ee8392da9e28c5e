import { range6Of, SERVICE_OFFSET } from '../../../agent/kit/addressing.ts';
import type { HostRecord } from '../../model/records.ts';
import { collisionWith, isColliding } from '../collisions.ts';
import type { Draft } from '../draft.ts';

/** The one before is where the fleet's name servers are reached. */
const FIRST_NUMBER = SERVICE_OFFSET + 1;
const LAST_NUMBER = 1_000;

const unnumbered = (hosts: readonly HostRecord[]): readonly HostRecord[] =>
  hosts.filter(({ number, offer }) => number === undefined && offer?.underlay !== undefined);

/** Hosts with an underlay, or that are said to collide. */
const underlying = (hosts: readonly HostRecord[]): readonly HostRecord[] =>
  hosts.filter((host) => host.offer?.underlay !== undefined || isColliding(host));

/** Gives hosts their place on the backbone, and finds those whose own networks are where the fleet's are to be. */
export function followHostNetworks(draft: Draft): void {
  numberHosts(draft);
  const { range, uuid } = draft.world.fleet;
  for (const host of draft.of('hosts', underlying)) {
    const collision = collisionWith(host, [range, range6Of(uuid)]);
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
