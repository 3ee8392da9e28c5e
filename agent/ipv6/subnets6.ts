import { macOf } from '../kit/addressing.ts';
import { canonical6, linkLocalOf } from '../network/addresses.ts';
import { bridgeName } from '../network/names.ts';
import { isRouting, type RouterPart } from '../network/router-part.ts';

/** A subnet of this host's guests, as IPv6 is told to those that ask for it. */
export interface Subnet6 {
  readonly bridge: string;
  /** Its /64. */
  readonly prefix: string;
  /** The address at which its gateway answers guests' questions for names, as by IPv4: libvirt's dnsmasq listens at all that its bridge has. */
  readonly gateway: string;
  /** Of its guests; null: the underlay's is not known. */
  readonly mtu: number | null;
  /** The hardware address of its gateway, which is the same on every host: 12 hex digits. */
  readonly gatewayMac: string;
  /** A guest's link-local address, by which rules of the host know that it is this guest, → the one address that it has. */
  readonly addresses: ReadonlyMap<string, string>;
}

/** Those of a goal, of which none is there where the controller is older than routers. */
export function composeSubnets6(part: RouterPart): readonly Subnet6[] {
  if (!isRouting(part)) return [];
  return part.networks.flatMap((network) =>
    network.cidr6 === undefined || network.gateway6 === undefined
      ? []
      : [
          {
            bridge: bridgeName(part.fleet, network),
            prefix: network.cidr6,
            gateway: canonical6(network.gateway6),
            mtu: part.backbone?.mtu ?? null,
            gatewayMac: macOf(network.gateway).replaceAll(':', ''),
            addresses: new Map(
              network.leases.flatMap(({ mac, address6 }) =>
                address6 === undefined ? [] : [[linkLocalOf(mac), canonical6(address6)] as const],
              ),
            ),
          },
        ],
  );
}
