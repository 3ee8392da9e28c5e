import { addressAt, parseRange } from '../kit/addressing.ts';
import type { NetworkGoal } from '../protocol/index.ts';
import { bridgeName } from './names.ts';
import { composeChain, composeSet } from './nft-text.ts';
import type { RoutingPart } from './router-part.ts';

type Mesh = NetworkGoal & { readonly mesh: NonNullable<NetworkGoal['mesh']> };

const meshesOf = ({ networks }: RoutingPart): readonly Mesh[] =>
  networks.flatMap((network) => (network.mesh ? [{ ...network, mesh: network.mesh }] : []));

/** Guests of each mesh, here and on other hosts, and all of them together. */
export function meshedSets(part: RoutingPart): readonly string[] {
  const elements = (pick: (mesh: Mesh) => readonly string[]) =>
    meshesOf(part).flatMap((mesh) =>
      pick(mesh).map((address) => `"${bridgeName(part.fleet, mesh)}" . ${address}`),
    );
  return [
    composeSet(
      'meshed4',
      'ifname . ipv4_addr',
      elements(({ cidr, leases, mesh: { peers } }) => [
        ...[...leases, ...peers].map(({ address }) => address),
        broadcastOf(cidr),
      ]),
    ),
    composeSet(
      'meshed6',
      'ifname . ipv6_addr',
      elements(({ leases, mesh: { peers } }) =>
        [...leases, ...peers].flatMap(({ address6 }) => address6 ?? []),
      ),
    ),
  ];
}

/** Everything passes within a mesh, but to addresses of its subnet that nobody has: of these its router would look for each. */
export function meshedChain(part: RoutingPart): string {
  const meshes = meshesOf(part);
  const prefixes = (family: string, all: readonly string[]) =>
    all.length === 0 ? [] : [`${family} daddr { ${all.join(', ')} } counter drop`];
  return composeChain('meshed', null, [
    'oifname . ip daddr @meshed4 accept',
    'oifname . ip6 daddr @meshed6 accept',
    ...prefixes(
      'ip',
      meshes.map(({ cidr }) => cidr),
    ),
    ...prefixes(
      'ip6',
      meshes.flatMap(({ cidr6 }) => cidr6 ?? []),
    ),
    'accept',
  ]);
}

function broadcastOf(cidr: string): string {
  const { base, size } = parseRange(cidr);
  return addressAt(base + size - 1);
}
