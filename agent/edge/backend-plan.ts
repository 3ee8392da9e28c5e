import type { Backend, PublishedEndpoint } from '../protocol/index.ts';
import { addressOf, proxyOf, serverKeywords } from './haproxy-configuration.ts';
import type { RuntimeServer } from './runtime.ts';

/**
 * What a worker is to be told so that it has exactly these backends, in the states they should have. What it refuses, for example to forget one
 * that still has connections, is planned again at the next look.
 */
export function planBackends(
  endpoints: readonly PublishedEndpoint[],
  servers: readonly RuntimeServer[],
): readonly string[] {
  const found = new Map(servers.map((server) => [`${server.proxy}/${server.name}`, server]));
  const commands: string[] = [];
  for (const endpoint of endpoints)
    for (const backend of endpoint.backends) {
      const path = `${proxyOf(endpoint.id)}/${backend.name}`;
      const server = found.get(path);
      found.delete(path);
      commands.push(...steps(path, endpoint, backend, server));
    }
  const served = new Set(endpoints.map(({ id }) => proxyOf(id)));
  for (const [path, { proxy, admin }] of found) if (served.has(proxy)) commands.push(...removal(path, admin));
  return commands;
}

function steps(
  path: string,
  endpoint: PublishedEndpoint,
  backend: Backend,
  server: RuntimeServer | undefined,
): readonly string[] {
  const isElsewhere = server && (server.address !== backend.address || server.port !== backend.port);
  const before = isElsewhere ? removal(path, server.admin) : [];
  if (backend.state === 'draining') {
    if (isElsewhere) return before;
    return server?.admin === 'ready' ? [`set server ${path} state drain`] : [];
  }
  if (server && !isElsewhere) {
    if (server.admin === 'ready') return [];
    // Only one that was just added, by an agent that ended in between, or is on its way out stands still: either way it is checked from now on.
    return [`enable health ${path}`, `set server ${path} state ready`];
  }
  return [
    ...before,
    `add server ${path} ${addressOf(backend)} ${serverKeywords(endpoint)}`,
    `enable health ${path}`,
    `enable server ${path}`,
  ];
}

/** Who is not wanted is not there any more: what is still open to it goes nowhere. */
const removal = (path: string, admin: RuntimeServer['admin']): readonly string[] => [
  ...(admin === 'maint' ? [] : [`set server ${path} state maint`]),
  `shutdown sessions server ${path}`,
  `del server ${path}`,
];
