import { range6Of, SERVICE_OFFSET } from '../../../agent/kit/addressing.ts';
import { isSameDocument } from '../../../agent/kit/same-document.ts';
import type { HostRecord } from '../../model/records.ts';
import { collisionWith, isColliding } from '../collisions.ts';
import type { Draft } from '../draft.ts';
import { describeStanding, encryptionOf, knownStanding, standingOf } from '../encryption.ts';
import { ofFleet } from '../of-fleet.ts';

/** The one before is where the fleet's name servers are reached. */
const FIRST_NUMBER = SERVICE_OFFSET + 1;
const LAST_NUMBER = 1_000;

const unnumbered = (hosts: readonly HostRecord[]): readonly HostRecord[] =>
  hosts.filter(({ number, offer }) => number === undefined && offer?.underlay !== undefined);

/** Hosts of which it is said how they encrypt. */
const judged = (hosts: readonly HostRecord[]): readonly HostRecord[] =>
  hosts.filter(({ encryption }) => (encryption ?? null) !== null);

/** Hosts with an underlay, or of which something is said that has to do with one. */
const underlying = (hosts: readonly HostRecord[]): readonly HostRecord[] =>
  hosts.filter(
    (host) => host.offer?.underlay !== undefined || isColliding(host) || (host.encryption ?? null) !== null,
  );

/** Gives hosts their place on the backbone, and finds those whose own networks are where the fleet's are to be, and those that do not encrypt. */
export function followHostNetworks(draft: Draft): void {
  numberHosts(draft);
  for (const { host, collision } of draft.of('hosts', otherwiseColliding(draft.world.fleet))) {
    draft.put('hosts', host.name, { ...host, collision });
    draft.tell(
      'host-collision',
      host.name,
      collision ?? 'none of its networks overlaps the fleet’s ranges any more',
    );
  }
  followEncryption(draft);
}

/** Those that are said to collide with something else than they do, and with what. */
const otherwiseColliding = ofFleet((hosts: readonly HostRecord[], { range, uuid }) => {
  const ranges = [range, range6Of(uuid)];
  return underlying(hosts).flatMap((host) => {
    const collision = collisionWith(host, ranges);
    return collision === (host.collision ?? null) ? [] : [{ host, collision }];
  });
});

function followEncryption(draft: Draft): void {
  const concerned = draft.of('hosts', draft.world.fleet.encrypt === undefined ? judged : underlying);
  if (concerned.length === 0) return;
  const encryption = encryptionOf(draft.all('hosts'));
  for (const host of concerned) {
    const before = host.encryption ?? null;
    const now = standingOf(draft.world.fleet, encryption.get(host.name));
    const standing = knownStanding(before, now, isTold(draft, host));
    if (isSameDocument(standing, before)) continue;
    draft.put('hosts', host.name, { ...host, encryption: standing });
    // It is over in a moment, or its host is told of as away.
    if (standing?.state === 'untold') continue;
    const problem = describeStanding(standing);
    if (problem !== null) draft.tell('host-unencrypted', host.name, problem);
    // That it goes in the open again is as it was asked for, and no news.
    else if (before !== null && before.problem !== null && !(before.state === 'untold' && standing === null))
      draft.tell(
        'host-encrypted',
        host.name,
        standing === null
          ? 'nobody asks any more for what it could not encrypt'
          : 'what goes between its guests and other hosts is encrypted',
      );
  }
}

/** It has looked with its newest goal. */
function isTold({ world }: Draft, { name, state }: HostRecord): boolean {
  const live = world.live.get(name);
  return state === 'up' && live?.connected === true && live.acknowledged !== null;
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
