import { type Report, saySameOfEdge } from '../../agent/protocol/index.ts';

/** True when a plan made with the one report would be the same with the other. What is the same in both is the same object (`fleet/kept-parts.ts`). */
export const saysTheSame = (one: Report, other: Report): boolean =>
  one.vms === other.vms &&
  one.strangers === other.strangers &&
  one.leaving === other.leaving &&
  one.doctor === other.doctor &&
  one.backups === other.backups &&
  one.peers === other.peers &&
  one.migrations === other.migrations &&
  saySameOfEdge(one.edge, other.edge) &&
  one.refusedGoal?.reason === other.refusedGoal?.reason &&
  one.revisionSeen === other.revisionSeen &&
  one.epochSeen === other.epochSeen &&
  one.bootId === other.bootId;
