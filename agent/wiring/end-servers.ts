import { edgeFolders } from '../edge/keeper.ts';
import { edgeServers } from '../edge/servers.ts';
import type { Clock } from '../kit/clock.ts';
import { OwnServer } from '../kit/own-server.ts';
import { knotServer } from '../names/knot-configuration.ts';

/**
 * Ends what outlives the agent and is of no use without it, as its package is removed: load balancer, shared addresses, names. Who runs
 * the same programs for something else keeps them.
 * @throws WeftError `timeout`: one did not end; the others were told to all the same.
 */
export async function endServers(stateFolder: string, namesFolder: string, clock: Clock): Promise<void> {
  const { haproxy, keepalived } = edgeServers(edgeFolders(stateFolder).folder);
  const marks = [keepalived, haproxy, knotServer(namesFolder)];
  const ends = await Promise.allSettled(marks.map((mark) => new OwnServer(mark).end(clock)));
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
}
