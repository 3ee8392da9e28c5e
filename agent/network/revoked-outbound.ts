import { asPrefix } from '../kit/addressing.ts';
import type { NetworkGoal } from '../protocol/index.ts';
import { liesIn, prefixesOf } from './addresses.ts';
import { isWhole } from './guest-outbound.ts';
import type { Deletions } from './revoked-connections.ts';
import type { RouterPart } from './router-part.ts';

/**
 * What the kernel is to forget of guests' connections to the world when they are let out to less. Where a wider prefix becomes a narrower one, those to the
 * narrower one are forgotten too, and taken up again with the guest's next packet. Guests that are gone are not looked at.
 */
export function revokedOutbound(before: RouterPart, after: RouterPart): Deletions {
  const had = new Map(before.networks.map((network) => [network.id, network]));
  return after.networks.flatMap((network) => {
    const earlier = had.get(network.id);
    return earlier === undefined ? [] : ofNetwork({ before, after }, network, earlier);
  });
}

interface Change {
  readonly before: RouterPart;
  readonly after: RouterPart;
}

function ofNetwork(change: Change, network: NetworkGoal, earlier: NetworkGoal): Deletions {
  const known = new Set(earlier.leases.map(({ address }) => address));
  const losses = network.leases
    .filter(({ address }) => known.has(address))
    .map(({ address, address6 }) => ({ address, address6, lost: lostOf(change, network.id, address) }));
  const [first] = losses;
  if (first && losses.every(({ lost }) => lost.join() === first.lost.join()))
    return first.lost.flatMap((prefix) => deletionOf(prefix, network.cidr, network.cidr6));
  return losses.flatMap(({ address, address6, lost }) =>
    lost.flatMap((prefix) => deletionOf(prefix, address, address6)),
  );
}

/** Translated ones only: with others of the fleet it is as flows have it. */
function deletionOf(prefix: string, from: string, from6: string | undefined): Deletions {
  const [family, source] = prefix.includes(':') ? ['ipv6', from6] : ['ipv4', from];
  if (family === undefined || source === undefined) return [];
  return [['-f', family, '-s', source, ...(isWhole(prefix) ? [] : ['-d', prefix]), '--src-nat']];
}

/** Prefixes that a guest reached, and that are in none of those that it reaches. */
function lostOf({ before, after }: Change, subnet: string, address: string): readonly string[] {
  const now = allowedOf(after, subnet, address);
  return allowedOf(before, subnet, address).filter((prefix) => !now.some((each) => liesIn(prefix, each)));
}

function allowedOf({ router }: RouterPart, subnet: string, address: string): readonly string[] {
  const entries = [
    ...(router?.outbound ?? []).filter((each) => each.subnet === subnet),
    ...(router?.outboundByGuest ?? []).filter((each) => each.address === address),
  ];
  const allowed = entries.flatMap(({ allow }) => (allow === 'all' ? ['0.0.0.0/0', '::/0'] : allow));
  return [...new Set([...prefixesOf(allowed, 4), ...prefixesOf(allowed, 6)].map(asPrefix))].sort();
}
