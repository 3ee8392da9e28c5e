import { is4 } from './addresses.ts';
import type { ConnectionShare, Pace } from './connection-share.ts';
import { composeChain, composeSet } from './nft-text.ts';
import type { RoutingPart } from './router-part.ts';

/** Each element has a limit of its own, and counts what is over it. */
export const paceFlags = ({ perSecond, burst }: Pace): readonly string[] => [
  `limit rate over ${perSecond}/second burst ${burst} packets counter`,
];

/** Guests by their hardware address, under which alone they send: one pace for both families. Those on other hosts have theirs there. */
export const shareSets = (
  { networks }: RoutingPart,
  { pace, barred }: ConnectionShare,
): readonly string[] => [
  ...(pace === null
    ? []
    : [
        composeSet(
          'pace',
          'ether_addr',
          networks.flatMap(({ leases }) => leases.map(({ mac }) => mac)),
          paceFlags(pace),
        ),
      ]),
  composeSet('barred4', 'ipv4_addr', barred.filter(is4)),
  composeSet(
    'barred6',
    'ipv6_addr',
    barred.filter((address) => !is4(address)),
  ),
];

const CHAIN = 'beginnings';

/** Of who has too many of the connections already. */
const NOT_BARRED = ['ip saddr @barred4 counter drop', 'ip6 saddr @barred6 counter drop'];

/** Who gets here begins a connection: what is established passes before. */
export const shareChain = ({ pace }: ConnectionShare): string =>
  composeChain(CHAIN, null, [...NOT_BARRED, ...(pace === null ? [] : ['ether saddr @pace counter drop'])]);

/** Of a guest of this host. */
export const BEGINS = `ct state new jump ${CHAIN}`;

/** Of who is behind another host's router, which has seen to the pace. */
export const BEGINS_ELSEWHERE: readonly string[] = NOT_BARRED.map((rule) => `ct state new ${rule}`);
