/** What a flow lets through, as rules and the kernel's list have it. */
export interface FlowKey {
  readonly protocol: string;
  readonly port: string | number;
  /** An address, or a prefix. */
  readonly from: string;
  readonly to: string;
}

/**
 * How sets of flows are keyed: as a set's type, as what a packet is looked up by, and as an element. The port is first: the kernel takes an element
 * out of a set of ranges by going through those before it, field by field up to the first one that differs (`nft_pipapo_remove`), and most flows of
 * two subnets differ in their port.
 */
export const flowType = (address: 'ipv4_addr' | 'ipv6_addr'): string =>
  `inet_service . inet_proto . ${address} . ${address}`;

/** @param side of the packet, where the endpoint is. */
export const flowLookup = (family: 'ip' | 'ip6', side: 'dport' | 'sport'): string => {
  const [from, to] = side === 'dport' ? ['saddr', 'daddr'] : ['daddr', 'saddr'];
  return `th ${side} . meta l4proto . ${family} ${from} . ${family} ${to}`;
};

export const flowElement = ({ protocol, port, from, to }: FlowKey): string =>
  `${port} . ${protocol} . ${from} . ${to}`;

/** @returns null: it is no element of such a set. */
export function readFlowElement(element: string): FlowKey | null {
  const [port, protocol, from, to] = element.split(' . ');
  return port && protocol && from && to ? { protocol, port, from, to } : null;
}
