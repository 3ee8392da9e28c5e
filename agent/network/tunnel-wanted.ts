import type { RouterOf } from '../protocol/index.ts';
import { canonical6, is4 } from './addresses.ts';
import { fleetPrefix, tunnelDevice } from './names.ts';
import { type BackbonePart, hasBackbone, type RouterPart } from './router-part.ts';

/** Of tables of routes: WF, and the fleet's prefix. */
const FIRST_TABLE = 0x57460000;

export interface WantedPeer {
  readonly publicKey: string;
  /** The only address that it may be the source of: its own on the underlay. */
  readonly allowed: string;
  /** `192.0.2.8:51821`, `[2001:db8::8]:51821`, as `wg` writes them. */
  readonly endpoint: string;
}

/** WireGuard of this host. VXLAN's packets to peers are sent through it as they are: it has no addresses that anybody sends to. */
export interface WantedTunnel {
  readonly name: string;
  readonly port: number;
  readonly mtu: number;
  /** Of the underlay, and so of all that goes through it. */
  readonly family: 4 | 6;
  /** Of routes, which IPv6 needs: whatever is bound to the device goes through it. */
  readonly table: number;
  readonly peers: readonly WantedPeer[];
}

/** Others with which this host encrypts. */
export const sealedOthers = ({ backbone }: BackbonePart): readonly RouterOf[] =>
  backbone.others.filter(({ publicKey }) => publicKey !== undefined);

/** Null: nothing of this host is encrypted. */
export function composeTunnel(part: RouterPart): WantedTunnel | null {
  if (!hasBackbone(part) || part.backbone.tunnel === undefined) return null;
  const { tunnel, self } = part.backbone;
  return {
    name: tunnelDevice(part.fleet),
    ...tunnel,
    family: is4(self.underlay) ? 4 : 6,
    table: tunnelTable(part.fleet),
    peers: sealedOthers(part).map((other) => peerOf(other, tunnel.port)),
  };
}

export const tunnelTable = (fleet: string): number => FIRST_TABLE + Number.parseInt(fleetPrefix(fleet), 16);

function peerOf({ underlay, publicKey = '' }: RouterOf, port: number): WantedPeer {
  if (is4(underlay)) return { publicKey, allowed: `${underlay}/32`, endpoint: `${underlay}:${port}` };
  const address = canonical6(underlay);
  return { publicKey, allowed: `${address}/128`, endpoint: `[${address}]:${port}` };
}
