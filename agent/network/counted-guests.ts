import { tapName } from './names.ts';
import { composeChain, composeSet } from './nft-text.ts';
import type { RoutingPart } from './router-part.ts';

/** Each element counts for one guest. */
const COUNTED = ['counter'];

/**
 * What is counted of guests on bridges, each for itself: what begins TCP connections within a mesh, by who begins them (`begun`) and with whom (`reached`), and
 * what guests without one send to others beside them.
 */
export function countedSets({ fleet, networks }: RoutingPart): readonly string[] {
  const of4 = networks.flatMap(({ mesh, leases }) => (mesh ? leases.map(({ address }) => address) : []));
  const of6 = networks.flatMap(({ mesh, leases }) =>
    mesh ? leases.flatMap(({ address6 }) => address6 ?? []) : [],
  );
  const apart = networks.filter(({ mesh }) => !mesh).flatMap(({ leases }) => leases);
  return [
    ...['begun', 'reached'].flatMap((name) => [
      composeSet(`${name}4`, 'ipv4_addr', of4, COUNTED),
      composeSet(`${name}6`, 'ipv6_addr', of6, COUNTED),
    ]),
    composeSet(
      'apart',
      'ifname',
      apart.map(({ address }) => `"${tapName(fleet, address)}"`),
      COUNTED,
    ),
  ];
}

/** For all that passes in a mesh. What belongs to a connection passes by one look at its flags. */
export const countedChains: readonly string[] = [
  composeChain('beginnings', null, [
    'ip saddr @begun4',
    'ip daddr @reached4',
    'ip6 saddr @begun6',
    'ip6 daddr @reached6',
  ]),
  composeChain('meshed', null, ['tcp flags & (syn | ack) == syn jump beginnings', 'accept']),
];

export const PASSES_IN_MESH = 'goto meshed';

export const APART = 'iifname @apart drop';
