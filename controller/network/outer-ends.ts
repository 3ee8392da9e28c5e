import { asPrefix, overlap, range6Of } from '../../agent/kit/addressing.ts';
import { WeftError } from '../../agent/kit/errors.ts';
import type { NetworkWorld } from '../reconciler/network-world.ts';
import { type End, guestsOf, isSame } from './ends.ts';
import { LINK_LOCAL } from './obstacle.ts';

const isIn = (address: string, prefix: string) => overlap(prefix, asPrefix(address));

/**
 * That an address is one of the world, and not one that guests might have.
 * @throws WeftError `not-found`: no guest has it, and nobody else can.
 */
export function refuseUnused(end: End, { fleet }: NetworkWorld): void {
  if (end.kind !== 'world' || end.address === null) return;
  const { address } = end;
  if ([fleet.range, range6Of(fleet.uuid)].some((range) => isIn(address, range)))
    throw new WeftError('not-found', `no guest has ${address}, which is of the fleet's own range`, {
      remedy: 'See: weft ps',
    });
}

/** Nothing from there ever passes a router. */
export const isLinkLocal = (end: End): boolean =>
  end.kind === 'world' && end.address !== null && LINK_LOCAL.some((range) => isIn(end.address ?? '', range));

/** The host that somebody asks from, and the guests of the other end that are its own: no rule stands between them. Null: it is no host, or has none of them. */
export function homeOf(
  from: End,
  to: End,
  { hosts }: NetworkWorld,
): { readonly host: string; readonly guests: readonly string[] } | null {
  if (from.kind !== 'world' || from.address === null) return null;
  const { address } = from;
  for (const { name, offer } of hosts.values()) {
    const own = [...(offer?.underlay ? [offer.underlay.address] : []), ...(offer?.underlay?.own ?? [])];
    if (!own.some((each) => isSame(each, address))) continue;
    const guests = guestsOf(to).filter(({ host }) => host === name);
    if (guests.length > 0) return { host: name, guests: guests.map(({ id }) => id) };
  }
  return null;
}
