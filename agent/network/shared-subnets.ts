import { overlap } from '../kit/addressing.ts';
import { canonical6 } from './addresses.ts';
import { bridgeName } from './names.ts';
import { isRouting, type RouterPart } from './router-part.ts';

/** Of one bridge: whether the router answers there for guests of the same subnet, and for which IPv6 addresses. */
export interface WantedProxy {
  readonly bridge: string;
  readonly isOn: boolean;
  readonly addresses6: readonly string[];
}

/** Subnets of which a guest may speak with another one by an endpoint: networks of machines. A mesh needs no router for that. */
export const sharedSubnets = ({ router }: Pick<RouterPart, 'router'>): ReadonlySet<string> =>
  new Set(
    (router?.flows ?? [])
      .filter(({ from, to, protocol }) => protocol !== 'any' && from.includes(to))
      .map(({ to }) => to),
  );

/**
 * Guests take those of their subnet for neighbours, and nothing passes between the ports of a bridge: so their router says that it is
 * them, and judges what comes as it does between subnets. For IPv6 the kernel has to be told each address.
 */
export function composeProxies(part: RouterPart): readonly WantedProxy[] {
  if (!isRouting(part)) return [];
  const shared = sharedSubnets(part);
  return part.networks.map((network) => {
    const isOn = shared.has(network.id);
    const near = network.leases.flatMap(({ address6 }) => address6 ?? []);
    const far = (part.router?.routes ?? [])
      .filter(({ address }) => overlap(`${address}/32`, network.cidr))
      .map(({ address6 }) => address6);
    const addresses6 = isOn ? [...new Set([...near, ...far].map(canonical6))].sort() : [];
    return { bridge: bridgeName(part.fleet, network), isOn, addresses6 };
  });
}
