import type { BackboneGoal, Goal, RouterGoal } from '../protocol/index.ts';

/** What of a goal is this room's. Of what the host serves, only whether there is any. */
export type RouterPart = Pick<Goal, 'fleet' | 'networks' | 'backbone' | 'router' | 'edge' | 'names'>;
export type BackbonePart = RouterPart & { readonly backbone: BackboneGoal };

/** Of a host that judges what its guests send and get; where it has no place on the backbone, those of other hosts are not reached. */
export type RoutingPart = BackbonePart | (RouterPart & { readonly router: RouterGoal });

/** Without it the controller is older than routers, and guests' addresses are translated, and no more. */
export const isRouting = (part: RouterPart): part is RoutingPart =>
  hasBackbone(part) || (part.router !== undefined && part.networks.length > 0);

/** Whether other hosts' routers are to be reached. One that has no guests, serves no load balancer and no names has nothing to route. */
export const hasBackbone = (part: RouterPart): part is BackbonePart => {
  const { backbone, networks, edge, names } = part;
  if (backbone === undefined) return false;
  return networks.length > 0 || (edge?.endpoints.length ?? 0) > 0 || names !== undefined;
};
