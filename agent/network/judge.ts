import { overlap } from '../kit/addressing.ts';
import type { NetworkGoal } from '../protocol/index.ts';
import { canonical6, is4 } from './addresses.ts';
import { bridgeName, tapName } from './names.ts';
import type { RouterPart } from './router-part.ts';
import { sharedSubnets } from './shared-subnets.ts';

export interface Pair {
  readonly from: string;
  readonly to: string;
}

/** What on this host decides about a connection. */
export type Judge =
  | { readonly kind: 'flows' }
  | { readonly kind: 'mesh'; readonly side: 'from' | 'to' }
  /** Between ports of one bridge. */
  | { readonly kind: 'apart'; readonly tap: string }
  | { readonly kind: 'outbound'; readonly bridge: string }
  /** This host is its other end. */
  | { readonly kind: 'host' };

/** What judges what a guest sends to an address, as rules are composed. Pure. @param own this host's addresses. */
export function judgeOf(part: RouterPart, pair: Pair, own: ReadonlySet<string>): Judge {
  const { from, to } = pair;
  const sender = part.networks.find((network) => hasGuest(network, from));
  const receiver = part.networks.find((network) => hasGuest(network, to));
  const network = sender ?? receiver;
  if (network && [from, to].every((each) => isOn(network, each)) && !isGateway(network, to)) {
    if (network.mesh) return { kind: 'mesh', side: sender ? 'from' : 'to' };
    const lease = sender?.leases.find((each) => each.address === from || isSame(each.address6, from));
    if (lease && !sharedSubnets(part).has(network.id))
      return { kind: 'apart', tap: tapName(part.fleet, lease.address) };
  }
  if (sender === undefined) return { kind: 'flows' };
  if (own.has(canonical(to))) return { kind: 'host' };
  return isFleets(part, to)
    ? { kind: 'flows' }
    : { kind: 'outbound', bridge: bridgeName(part.fleet, sender) };
}

const canonical = (address: string) => (is4(address) ? address : canonical6(address));

const isSame = (one: string | undefined, other: string) =>
  one !== undefined && canonical(one) === canonical(other);

const hasGuest = ({ leases }: NetworkGoal, address: string) =>
  leases.some((lease) => lease.address === address || isSame(lease.address6, address));

const isGateway = ({ gateway, gateway6 }: NetworkGoal, address: string) =>
  gateway === address || isSame(gateway6, address);

const isIn = (prefix: string | undefined, address: string) =>
  prefix !== undefined && overlap(prefix, `${address}/${is4(address) ? 32 : 128}`);

const isOn = ({ cidr, cidr6 }: NetworkGoal, address: string) => isIn(is4(address) ? cidr : cidr6, address);

/** Of the fleet's own range: what is there is for flows to let through. */
function isFleets({ backbone, router, networks }: RouterPart, address: string): boolean {
  const { range, range6 } = backbone ?? router?.closed ?? {};
  return isIn(is4(address) ? range : range6, address) || networks.some((network) => isOn(network, address));
}
