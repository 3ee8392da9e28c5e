import { hexOf6, hexOfMac } from '../../../agent/network/addresses.ts';

const UDP = 17;
const ICMP6 = 58;
const ROUTER_SOLICITATION = 133;
const ROUTER_ADVERTISEMENT = 134;
const ALL_NODES = 'ff02::1';
const ALL_ROUTERS = 'ff02::2';

export const hex16 = (number: number) => number.toString(16).padStart(4, '0');
const bare = (number: string) => number.replace(/^0x/, '');

/** An Ethernet frame in hex. @param packet of IPv6, in hex. */
export const frameOf6 = (to: string, from: string, packet: string): string =>
  `${bare(hexOfMac(to))}${bare(hexOfMac(from))}86dd${packet}`;

/** Of IPv6, with its checksum: what is malformed may be dropped for that alone. @param payload in hex, its sum zero. @param sumAt its place, in bytes. */
function packetOf(protocol: number, from: string, to: string, payload: string, sumAt: number): string {
  const [source, target] = [from, to].map((each) => bare(hexOf6(each)));
  const pseudo = `${source}${target}0000${hex16(payload.length / 2)}0000${hex16(protocol)}`;
  const summed = `${payload.slice(0, 2 * sumAt)}${checksumOf(pseudo + payload)}${payload.slice(2 * sumAt + 4)}`;
  const head = `60000000${hex16(payload.length / 2)}${protocol.toString(16).padStart(2, '0')}ff`;
  return `${head}${source}${target}${summed}`;
}

/** @param payload in hex. */
export function udp6(from: string, to: string, fromPort: number, toPort: number, payload: string): string {
  const even = payload.length % 4 === 0 ? payload : `${payload}00`;
  const datagram = `${hex16(fromPort)}${hex16(toPort)}${hex16(8 + even.length / 2)}0000${even}`;
  return packetOf(UDP, from, to, datagram, 6);
}

/** It says that the sender is a router, for half an hour, from whom addresses come by DHCPv6. */
export const routerAdvertisement = (from: string, mac: string): string =>
  packetOf(
    ICMP6,
    from,
    ALL_NODES,
    `${ROUTER_ADVERTISEMENT.toString(16)}000000408007080000000000000000${linkOption(mac)}`,
    2,
  );

export const routerSolicitation = (from: string, mac: string): string =>
  packetOf(
    ICMP6,
    from,
    ALL_ROUTERS,
    `${ROUTER_SOLICITATION.toString(16)}00000000000000${linkOption(mac)}`,
    2,
  );

/** The sender's hardware address (RFC 4861, 4.6.1). */
const linkOption = (mac: string) => `0101${bare(hexOfMac(mac))}`;

/** Of the Internet (RFC 1071). */
export function checksumOf(hex: string): string {
  let sum = 0;
  for (let at = 0; at < hex.length; at += 4) sum += Number.parseInt(hex.slice(at, at + 4).padEnd(4, '0'), 16);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return hex16(~sum & 0xffff);
}
