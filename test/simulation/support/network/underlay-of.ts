import type { UnderlayOffer } from '../../../../agent/protocol/index.ts';

/** Where a simulated host is on the underlay, as its agent would offer it: hosts are `h1`, `h2` and so on. */
export function underlayOf(name: string): UnderlayOffer {
  const number = Number(name.slice(1));
  const address = `172.20.${number >> 8}.${number & 0xff}`;
  return { address, mtu: 1_500, networks: ['172.20.0.0/16'], own: [address], closed: [] };
}
