import { hexOf6, linkLocalOf } from '../../../agent/network/addresses.ts';
import { checksumOf, hex16 } from '../../support/network/frames6.ts';
import type { Guest } from './fleet.ts';

export const hexOf = (text: string) => Buffer.from(text, 'latin1').toString('hex');
const bare = (mac: string) => mac.replaceAll(':', '');
const hex4 = (address: string) =>
  address
    .split('.')
    .map((part) => Number(part).toString(16).padStart(2, '0'))
    .join('');
/** Padded to what a wire carries at least. */
export const frameOf = (to: string, from: string, type: string, payload: string) =>
  `${bare(to)}${bare(from)}${type}${payload}`.padEnd(120, '0');
export const ICMP = 1;
export const TCP = 6;
export const UDP = 17;
/** With the checksum of its header: what is malformed may be dropped for that alone. */
export function ip4Of(protocol: number, from: string, to: string, payload: string): string {
  const head = (sum: string) =>
    `4500${hex16(20 + payload.length / 2)}0000400040${protocol.toString(16).padStart(2, '0')}${sum}${hex4(from)}${hex4(to)}`;
  return `${head(checksumOf(head('0000')))}${payload}`;
}
export const udp4Of = (from: string, to: string, datagram: string) => ip4Of(UDP, from, to, datagram);
/** That there is a shorter way for `packet`, by `gateway` (RFC 792). */
export function redirectOf(gateway: string, packet: string): string {
  const message = (sum: string) => `0501${sum}${hex4(gateway)}${packet.slice(0, 56)}`;
  return message(checksumOf(message('0000')));
}
/** The first packet of a connection (RFC 9293), which carries text. */
export function synOf(from: Guest, to: Guest, port: number, toPort: number, text: string): string {
  const length = hex16(20 + text.length);
  const segment = (sum: string) =>
    `${hex16(port)}${hex16(toPort)}00000001000000005002ffff${sum}0000${hexOf(text)}`;
  const pseudo = `${hex4(from.address)}${hex4(to.address)}0006${length}`;
  return segment(checksumOf(`${pseudo}${segment('0000')}`));
}
export const udpOf = (from: number, to: number, text: string) =>
  `${hex16(from)}${hex16(to)}${hex16(8 + text.length)}0000${hexOf(text)}`;
/** As a client of DHCP asks (RFC 2131), with a text where its server's name would be. */
export const leaseOf = (from: string, mac: string, text: string) =>
  udp4Of(
    from,
    '255.255.255.255',
    `00440043${hex16(8 + 44 + text.length)}0000${'01010600'.padEnd(56, '0')}${bare(mac).padEnd(32, '0')}${hexOf(text)}`,
  );
export const arpOf = (mac: string, sender: string, target: string) =>
  `0001080006040001${bare(mac)}${hex4(sender)}000000000000${hex4(target)}`;
/** To all, of a router that lives for half an hour. */
export const advertisementOf = (mac: string) =>
  `6000000000103aff${hexOf6(linkLocalOf(mac)).slice(2)}ff020000000000000000000000000001${'86000000400007080000000000000000'}`;

/** A packet of IPv6. @param payload in hex. */
export const ip6Of = (next: number, from: string, to: string, payload: string, hopLimit = 64): string =>
  `60000000${hex16(payload.length / 2)}${hex8(next)}${hex8(hopLimit)}${digits6(from)}${digits6(to)}${payload}`;

/** With its checksum (RFC 4443). @param body behind type, code and checksum, in hex. */
export function icmp6Of(type: number, from: string, to: string, body: string): string {
  const message = (sum: string) => `${hex8(type)}00${sum}${body}`;
  const pseudo = `${digits6(from)}${digits6(to)}0000${hex16(4 + body.length / 2)}000000${hex8(ICMP6)}`;
  return message(checksumOf(`${pseudo}${message('0000')}`));
}

/** An error about `packet` (RFC 792), as if a way were too narrow for it. */
export function tooBigOf(packet: string): string {
  const message = (sum: string) => `0304${sum}00000500${packet.slice(0, 56)}`;
  return message(checksumOf(message('0000')));
}

/** The first piece of a packet of IPv6, or the one behind it (RFC 8200, 4.5). @param next of what is put together. */
export const pieceOf6 = (next: number, piece: string, offset = 0): string =>
  `${hex8(next)}00${hex16(offset | (offset === 0 ? 1 : 0))}00000063${piece}`;

/** The same of IPv4: more is to come behind it. */
export function firstPieceOf(packet: string): string {
  const head = (sum: string) =>
    `${packet.slice(0, 12)}2000${packet.slice(16, 20)}${sum}${packet.slice(24, 40)}`;
  return `${head(checksumOf(head('0000')))}${packet.slice(40)}`;
}

export const ICMP6 = 58;
const hex8 = (number: number) => number.toString(16).padStart(2, '0');
const digits6 = (address: string) => hexOf6(address).slice(2);
