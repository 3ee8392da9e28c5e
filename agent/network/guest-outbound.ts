import type { RouterGoal } from '../protocol/index.ts';
import { liesIn, prefixesOf, prefixLength } from './addresses.ts';
import { composeSet } from './nft-text.ts';

type Guests = NonNullable<RouterGoal['outboundByGuest']>;

export const isWhole = (prefix: string): boolean => prefixLength(prefix) === 0;

/** What single guests reach of the world, as sets: `named` are the prefixes that they name, from `world` guests reach what is beyond the host's links. Each element counts what begins. */
export function guestOutboundSets(guests: Guests = []): readonly string[] {
  return ([4, 6] as const).flatMap((family) => {
    const address = `ipv${family}_addr`;
    const from = (guest: Guests[number]) => (family === 4 ? guest.address : guest.address6);
    const prefixes = ({ allow }: Guests[number]) =>
      allow === 'all' ? [] : prefixesOf(allow, family).filter((prefix) => prefix.includes('/'));
    return [
      composeSet(
        `named${family}`,
        `${address} . ${address}`,
        guests.flatMap((guest) =>
          widest(prefixes(guest).filter((prefix) => !isWhole(prefix))).map(
            (prefix) => `${from(guest)} . ${prefix}`,
          ),
        ),
        ['flags interval', 'counter'],
      ),
      composeSet(
        `world${family}`,
        address,
        guests.filter((guest) => guest.allow === 'all' || prefixes(guest).some(isWhole)).map(from),
        ['counter'],
      ),
    ];
  });
}

export const namedByGuest: readonly string[] = [
  'ip saddr . ip daddr @named4 accept',
  'ip6 saddr . ip6 daddr @named6 accept',
];

export const worldByGuest: readonly string[] = ['ip saddr @world4 accept', 'ip6 saddr @world6 accept'];

/** Elements of an interval set must not lie in one another: without the prefixes that another one has in it. */
function widest(prefixes: readonly string[]): readonly string[] {
  const sorted = [...prefixes].sort((one, other) => prefixLength(one) - prefixLength(other));
  return sorted.filter((prefix, index) => !sorted.slice(0, index).some((wider) => liesIn(prefix, wider)));
}
