import type { Backend, PublishedEndpoint } from '../protocol/index.ts';
import { addressOf, proxyOf, serverKeywords } from './haproxy-configuration.ts';
import type { RuntimeServer } from './runtime.ts';
import { serverNameOf } from './server-names.ts';

/**
 * What a worker is to be told so that it has exactly these backends, in the states they should have. What it refuses is planned again at the
 * next look. New ones come before any goes, so that there is no moment without. One that is not wanted any more is checked on until its last
 * connection has ended: it may work on, or be gone, and then the check ends what is open.
 * @param isBusy whether a server has connections.
 */
export function planBackends(
  endpoints: readonly PublishedEndpoint[],
  servers: readonly RuntimeServer[],
  isBusy: (server: RuntimeServer) => boolean,
): readonly string[] {
  const found = new Map(servers.map((server) => [pathOf(server.proxy, server.name), server]));
  const names = new Set(found.keys());
  const coming: string[] = [];
  const going: string[] = [];
  for (const endpoint of endpoints) {
    const proxy = proxyOf(endpoint.id);
    for (const backend of endpoint.backends) {
      const isTaken = names.has(pathOf(proxy, backend.name));
      const server = [false, true]
        .map((isPlaced) => found.get(pathOf(proxy, serverNameOf(backend, isPlaced))))
        .find((each) => each && isAt(each, backend));
      const path = pathOf(proxy, server?.name ?? serverNameOf(backend, isTaken));
      found.delete(path);
      if (backend.state === 'ready') coming.push(...ready(endpoint, backend, path, server));
      else if (server?.admin === 'ready') going.push(`set server ${path} state drain`);
    }
  }
  const served = new Set(endpoints.map(({ id }) => proxyOf(id)));
  for (const server of found.values()) if (served.has(server.proxy)) going.push(...removal(server, isBusy));
  return [...coming, ...going];
}

const pathOf = (proxy: string, name: string) => `${proxy}/${name}`;

/** One of its name that is elsewhere has connections, which end in their own time. */
const isAt = (server: RuntimeServer, { address, port }: Backend) =>
  server.address === address && server.port === port;

function ready(
  endpoint: PublishedEndpoint,
  backend: Backend,
  path: string,
  server: RuntimeServer | undefined,
): readonly string[] {
  if (server?.admin === 'ready') return [];
  // It was on its way out, or was added by an agent that ended in between.
  if (server) return [`enable health ${path}`, `set server ${path} state ready`];
  return [
    `add server ${path} ${addressOf(backend)} ${serverKeywords({ ...endpoint, proxyProtocol: backend.proxyProtocol ?? endpoint.proxyProtocol })}`,
    `enable health ${path}`,
    `enable server ${path}`,
  ];
}

function removal(server: RuntimeServer, isBusy: (server: RuntimeServer) => boolean): readonly string[] {
  const path = pathOf(server.proxy, server.name);
  if (isBusy(server)) return server.admin === 'ready' ? [`set server ${path} state drain`] : [];
  return [...(server.admin === 'maint' ? [] : [`set server ${path} state maint`]), `del server ${path}`];
}
