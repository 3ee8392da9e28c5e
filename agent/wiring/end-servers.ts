import { edgeFolders } from '../edge/keeper.ts';
import { edgeServers } from '../edge/servers.ts';
import { radvdServer } from '../ipv6/radvd-configuration.ts';
import type { Clock } from '../kit/clock.ts';
import { OwnServer } from '../kit/own-server.ts';
import { knotServer } from '../names/knot-configuration.ts';

interface Folders {
  readonly stateFolder: string;
  readonly names: string;
  readonly advertisements: string;
}

/**
 * Ends what outlives the agent and is of no use without it, as its package is removed: load balancer, shared addresses, names, and what
 * advertises a router that nobody looks after. Who runs the same programs for something else keeps them.
 * @throws WeftError `timeout`: one did not end; the others were told to all the same.
 */
export async function endServers(
  { stateFolder, names, advertisements }: Folders,
  clock: Clock,
): Promise<void> {
  const { haproxy, keepalived } = edgeServers(edgeFolders(stateFolder).folder);
  const marks = [keepalived, haproxy, knotServer(names), radvdServer(advertisements)];
  const ends = await Promise.allSettled(marks.map((mark) => new OwnServer(mark).end(clock)));
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
}
