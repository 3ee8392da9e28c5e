import { isSameDocument } from '../../../agent/kit/same-document.ts';
import { listAddresses, type PublicAddress } from '../../model/public-address.ts';
import type { HostRecord } from '../../model/records.ts';
import type { Draft } from '../draft.ts';
import { hasFormer, numbersOf, placedHosts, placesOf } from '../former-places.ts';
import { listOf } from '../listed-map.ts';

/**
 * What this plan gives up of public addresses and subnets is kept from others until each edge host is known to do without: an edge host
 * that is cut off from the controller alone has its addresses and serves them, with the backends that it knows.
 */
export function followFormerPlaces(draft: Draft): void {
  const addresses = goneAddresses(draft);
  const subnets = goneSubnets(draft);
  for (const host of draft.of('hosts', placedHosts)) {
    if (addresses.length + subnets.length === 0 && !hasFormer(host)) continue;
    const isDead = host.state === 'fenced';
    const isTold = isDead || isListening(draft, host);
    // What was given up before this plan is in no goal that it can have taken since.
    const before: Pick<HostRecord, 'formerAddresses' | 'formerSubnets'> = isTold ? {} : host;
    const after = {
      formerAddresses: isDead ? [] : [...(before.formerAddresses ?? []), ...addresses],
      formerSubnets: isTold ? [] : [...(before.formerSubnets ?? []), ...subnets],
    };
    const { formerAddresses: _addresses, formerSubnets: _subnets, ...rest } = host;
    const now: HostRecord = {
      ...rest,
      ...(after.formerAddresses.length > 0 ? { formerAddresses: after.formerAddresses } : {}),
      ...(after.formerSubnets.length > 0 ? { formerSubnets: after.formerSubnets } : {}),
    };
    if (!isSameDocument(now, host)) draft.put('hosts', host.name, now);
  }
}

/** It has looked with the newest goal, in which there is nothing of what was given up. */
function isListening(draft: Draft, { name, state }: HostRecord): boolean {
  const live = draft.world.live.get(name);
  return state === 'up' && live?.connected === true && live.acknowledged !== null;
}

function goneAddresses(draft: Draft): readonly PublicAddress[] {
  const [before, after] = [listOf(draft.world.applications), draft.all('applications')];
  if (before === after) return [];
  const had = draft.of('applications', placesOf);
  const left = new Set(had.flatMap(listAddresses));
  return placesOf(before).filter((place) => listAddresses(place).some((address) => !left.has(address)));
}

function goneSubnets(draft: Draft): readonly number[] {
  const [before, after] = [listOf(draft.world.networks), draft.all('networks')];
  if (before === after) return [];
  const left = new Set(draft.of('networks', numbersOf));
  return numbersOf(before).filter((number) => !left.has(number));
}
