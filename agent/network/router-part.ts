import type { BackboneGoal, Goal } from '../protocol/index.ts';

/** What of a goal is this room's. Of what the host serves, only whether there is any. */
export type RouterPart = Pick<Goal, 'fleet' | 'networks' | 'backbone' | 'router' | 'edge' | 'names'>;
export type BackbonePart = RouterPart & { readonly backbone: BackboneGoal };

/**
 * Whether this host is a router. Without a backbone its subnets are on their own: the controller is older than that, or does not know
 * where this host is. One that has no guests, serves no load balancer and no names has nothing to route.
 */
export const hasBackbone = (part: RouterPart): part is BackbonePart => {
  const { backbone, networks, edge, names } = part;
  if (backbone === undefined) return false;
  return networks.length > 0 || (edge?.endpoints.length ?? 0) > 0 || names !== undefined;
};
