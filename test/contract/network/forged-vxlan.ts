import { type Guest, routerOf } from './fleet.ts';

/** A datagram of one guest to the log of another, in a frame between the routers of their hosts, in a packet of VXLAN: what is behind the UDP header, as latin1. */
export function forgedVxlan(from: Guest, to: Guest, text: string): string {
  const bytes = (hex: string) => Buffer.from(hex.replaceAll(/[: ]/g, ''), 'hex');
  const four = (address: string) => Buffer.from(address.split('.').map(Number));
  const word = (number: number) => Buffer.from([number >> 8, number & 0xff]);
  const datagram = Buffer.concat([word(1000), word(514), word(8 + text.length), word(0), Buffer.from(text)]);
  const head = Buffer.concat([
    ...[bytes('4500'), word(20 + datagram.length), bytes('0000 4000 4011 0000')],
    ...[four(from.address), four(to.address)],
  ]);
  // Of the header (RFC 1071).
  let sum = 0;
  for (let at = 0; at < head.length; at += 2) sum += head.readUInt16BE(at);
  head.writeUInt16BE(~((sum & 0xffff) + (sum >>> 16)) & 0xffff, 10);
  return Buffer.concat([
    ...[bytes('08000000'), bytes('f1ffff00'), bytes(routerOf(to.host).mac), bytes(routerOf(from.host).mac)],
    ...[bytes('0800'), head, datagram],
  ]).toString('latin1');
}
