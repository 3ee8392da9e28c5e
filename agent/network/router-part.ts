import type { BackboneGoal, Goal } from '../protocol/index.ts';

/** What of a goal is this room's. */
export type RouterPart = Pick<Goal, 'fleet' | 'networks' | 'backbone' | 'router'>;
export type BackbonePart = RouterPart & { readonly backbone: BackboneGoal };

/**
 * Whether this host is a router. Without a backbone its subnets are on their own: the controller is older than that, or does not know
 * where this host is. One that has no guests, serves no load balancer and no names has nothing to route.
 */
export const hasBackbone = (part: RouterPart): part is BackbonePart => {
  const { backbone, networks, router } = part;
  if (backbone === undefined) return false;
  const { self } = backbone;
  return networks.length > 0 || self.edge || router?.resolver?.servers.includes(self.address) === true;
};
