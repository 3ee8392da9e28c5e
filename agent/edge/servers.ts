import { join } from 'node:path';
import type { ServerMark } from '../kit/own-server.ts';

/** By what the servers of an edge host are known. @param folder of their configurations. */
export const edgeServers = (folder: string) =>
  ({
    haproxy: { program: 'haproxy', mark: join(folder, 'haproxy.cfg') },
    keepalived: { program: 'keepalived', mark: join(folder, 'keepalived.conf') },
  }) satisfies Record<string, ServerMark>;
