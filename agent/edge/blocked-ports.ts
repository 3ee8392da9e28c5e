import { createServer } from 'node:net';
import type { PublishedEndpoint } from '../protocol/index.ts';
import type { Listener } from './listeners.ts';

/**
 * Endpoints at whose ports nothing could listen now, and why. A connection that goes out from here has its local port for itself, also for a
 * while after its end, and no list of sockets tells which of them stand in the way of whom: it is tried, at addresses that are here. HAProxy
 * finds out only in a reload, in which it takes no connections of any endpoint for two seconds.
 * @param own what the load balancer listens at itself. @param listOwn that, asked again: it may have come meanwhile.
 */
export async function blockedEndpoints(
  endpoints: readonly PublishedEndpoint[],
  own: readonly Listener[],
  listOwn: () => Promise<readonly Listener[]>,
): Promise<ReadonlyMap<string, string>> {
  const known = placesOf(own);
  const failed: { readonly id: string; readonly address: string; readonly port: number }[] = [];
  for (const { id, addresses, port } of endpoints)
    for (const address of addresses)
      if (!known.has(placeOf(address, port)) && !(await canListen(address, port)))
        failed.push({ id, address, port });
  if (failed.length === 0) return new Map();
  const now = placesOf(await listOwn());
  return new Map(
    failed.flatMap(({ id, address, port }) =>
      now.has(placeOf(address, port)) ? [] : [[id, inUse(address, port)] as const],
    ),
  );
}

const placeOf = (address: string, port: number): string => `${address} ${port}`;
const placesOf = (listeners: readonly Listener[]): ReadonlySet<string> =>
  new Set(listeners.map(({ address, port }) => placeOf(address, port)));
const inUse = (address: string, port: number): string =>
  `port ${port} of ${address} is in use on this host, as that of a connection that goes out from it (net.ipv4.ip_local_reserved_ports keeps a port free)`;

/** As HAProxy would, which has SO_REUSEADDR too. @returns false: somebody has it. */
const canListen = (host: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code !== 'EADDRINUSE'));
    server.listen({ host, port, ipv6Only: true, exclusive: true, backlog: 1 }, () =>
      server.close(() => resolve(true)),
    );
  });
