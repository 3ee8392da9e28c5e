import type { PublishedEndpoint } from '../protocol/index.ts';
import { proxyOf } from './haproxy-configuration.ts';
import { pathOf, type Statistics } from './runtime.ts';
import { backendOfServer } from './server-names.ts';

/**
 * Servers (proxy and name) with which a worker of before a reload is to end what is open: it keeps its connections, but looks at no backend
 * any more, so that one which dies without a word would hold them for as long as the longest silence may be. The current worker looks for
 * it; a backend that this one does not have either, and that is not wanted, is looked at by nobody. Endpoints that are not served any more
 * are left as they are.
 * @param current, earlier what each of the two counts.
 */
export function deadOfEarlier(
  endpoints: readonly PublishedEndpoint[],
  current: readonly Statistics[],
  earlier: readonly Statistics[],
): ReadonlySet<string> {
  const statuses = new Map(current.map((line) => [pathOf(line), line.status]));
  const wanted = new Map(
    endpoints.map(({ id, backends }) => [proxyOf(id), new Set(backends.map(({ name }) => name))]),
  );
  const isDead = (line: Statistics) => {
    const name = backendOfServer(line.name);
    // A worker has the backends that it begins with by their plain names.
    const status = statuses.get(pathOf(line)) ?? statuses.get(pathOf({ proxy: line.proxy, name }));
    return status === undefined ? wanted.get(line.proxy)?.has(name) === false : status.startsWith('DOWN');
  };
  return new Set(
    earlier
      .filter((line) => isServer(line) && line.sessions > 0 && wanted.has(line.proxy) && isDead(line))
      .map(pathOf),
  );
}

/** Such a worker ends no sessions of a server, for its proxies are stopped, but single ones. @param shown by `show sess`. */
export function endSessions(shown: string, servers: ReadonlySet<string>): readonly string[] {
  return [...shown.matchAll(/^(0x[0-9a-f]+): .*? be=(\S+) srv=(\S+) /gm)].flatMap(([, id, proxy, name]) =>
    servers.has(`${proxy}/${name}`) ? [`shutdown session ${id}`] : [],
  );
}

/** Proxy and name of each server with open connections, in any of these workers. */
export const busyIn = (workers: readonly (readonly Statistics[])[]): ReadonlySet<string> =>
  new Set(
    workers
      .flat()
      .filter(({ sessions }) => sessions > 0)
      .map(pathOf),
  );

const isServer = ({ name }: Statistics) => name !== 'FRONTEND' && name !== 'BACKEND';
