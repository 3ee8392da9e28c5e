import type { UnderlayOffer } from '../../../../agent/protocol/index.ts';

/** Where a simulated host is on the underlay, as its agent would offer it: hosts are `h1`, `h2` and so on. */
export function underlayOf(name: string): UnderlayOffer {
  const number = Number(name.slice(1));
  const address = `172.20.${number >> 8}.${number & 0xff}`;
  return { address, mtu: 1_500, networks: ['172.20.0.0/16'], own: [address], closed: [] };
}

/** What it offers when it has got another address for so many times; the one before stays out of guests' reach. */
export function renumbered(underlay: UnderlayOffer, times: number): UnderlayOffer {
  if (times === 0) return underlay;
  const address = underlay.address.replace('172.20.', `172.${20 + times}.`);
  return { ...underlay, address, own: [address, underlay.address] };
}
