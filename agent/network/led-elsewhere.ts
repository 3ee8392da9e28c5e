import type { Blocks } from './nft-blocks.ts';
import type { Deletions } from './revoked-connections.ts';

const LED = /^ip daddr (\S+) (?:udp|tcp) dport 53 dnat ip to (\S+)$/;

/**
 * Questions to a name server that guests' resolvers are led to no more: the kernel leads what belongs to a connection where its first packet went,
 * and a resolver asks again from the same port.
 */
export function ledElsewhere(table: string, before: Blocks, after: Blocks): Deletions {
  const ledIn = (blocks: Blocks) =>
    new Map(
      (blocks.get(`inet ${table} chain output`)?.items ?? []).flatMap((rule) => {
        const [, service, server] = LED.exec(rule) ?? [];
        return service && server ? [[`${service} ${server}`, { service, server }] as const] : [];
      }),
    );
  const now = ledIn(after);
  return [...ledIn(before)].flatMap(([key, { service, server }]) =>
    now.has(key) ? [] : [['-f', 'ipv4', '-d', service, '--reply-src', server]],
  );
}
