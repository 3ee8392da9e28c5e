import type { NetworkWorld } from '../reconciler/network-world.ts';
import { type End, endOf, isSame } from './ends.ts';
import { endpointOwner, type PublishedView, publishedViews } from './view.ts';

const MOST_LISTED = 5;

/**
 * What the world comes to at an address of load balancers, or why there is nothing at that port. Null: it is no such address.
 * @param address of the world.
 */
export function publishedAt(
  address: string,
  { port, protocol }: { readonly port: number; readonly protocol: string },
  world: NetworkWorld,
): { readonly end: End } | { readonly reason: string } | null {
  const views = [...world.applications.keys()]
    .flatMap((app) => publishedViews(app, world))
    .filter(({ addresses }) => addresses.some((each) => isSame(each, address)));
  if (views.length === 0) return null;
  for (const view of protocol === 'tcp' ? views : []) {
    const end = endAt(view, port, world);
    if (end) return { end };
  }
  // What else a host listens for at its own address is no matter of the fleet's.
  if ([...world.hosts.values()].some(({ offer }) => isSame(offer?.underlay?.address ?? '', address)))
    return null;
  const known = views.map((view) => `tcp ${portText(view)} (${view.id})`);
  const more = known.length > MOST_LISTED ? `, and ${known.length - MOST_LISTED} more` : '';
  return {
    reason: `at ${address} load balancers listen for ${known.slice(0, MOST_LISTED).join(', ')}${more}, and not for ${protocol} ${port}`,
  };
}

function endAt(view: PublishedView, port: number, world: NetworkWorld): End | null {
  const { type, port: first } = view;
  const owner = endpointOwner(view);
  if (type === 'input') return port === first ? endOf(owner, world) : null;
  const instance = `${owner}-${port - first}`;
  return world.vms.has(instance) ? endOf(instance, world) : null;
}

const portText = ({ type, port }: PublishedView): string =>
  type === 'instance' ? `${port} + index` : `${port}`;
