import type { BackboneGoal, Goal } from '../protocol/index.ts';

/** What of a goal is this room's. */
export type RouterPart = Pick<Goal, 'fleet' | 'networks' | 'backbone' | 'router'>;
export type BackbonePart = RouterPart & { readonly backbone: BackboneGoal };

/** Without a backbone this host's subnets are on their own: the controller is older than that, or does not know where this host is. */
export const hasBackbone = (part: RouterPart): part is BackbonePart => part.backbone !== undefined;
