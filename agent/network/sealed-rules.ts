import type { RouterOf } from '../protocol/index.ts';
import { is4 } from './addresses.ts';
import { tunnelDevice } from './names.ts';
import { composeChain } from './nft-text.ts';
import type { BackbonePart } from './router-part.ts';
import { sealedOthers } from './tunnel-wanted.ts';

/*
 * What is encrypted between two hosts goes through the tunnel and by no other way, and the tunnel carries nothing else. Packets are
 * bound to it where they are sent (`links-plan.ts`), and WireGuard takes from each key that host's address only: these rules hold where
 * one of the two was changed by somebody, and against packets that come in beside the tunnel.
 */

const device = ({ fleet }: BackbonePart) => `"${tunnelDevice(fleet)}"`;

const family = ({ underlay }: RouterOf) => (is4(underlay) ? 'ip' : 'ip6');
/** By family of addresses. */
const setOf = (routers: readonly RouterOf[]) =>
  `{ ${routers
    .map(({ underlay }) => underlay)
    .sort()
    .join(', ')} }`;

/** Of VXLAN that comes in. */
export function sealedSources(part: BackbonePart): readonly string[] {
  const all = sealedOthers(part);
  return (['ip', 'ip6'] as const).flatMap((each) => {
    const own = all.filter((other) => family(other) === each);
    return own.length === 0 ? [] : [`iifname != ${device(part)} ${each} saddr ${setOf(own)} counter drop`];
  });
}

/**
 * Of VXLAN that goes out: where something is encrypted, or nobody is to be reached, it goes in the open to those alone of whom the goal says
 * so. Rules are there before forwarding entries are: what was sent in the open until now does not wait for these. @param vxlan what this
 * fleet's packets are known by.
 */
export function sealedChains(part: BackbonePart, vxlan: string): readonly string[] {
  const { tunnel, self, others } = part.backbone;
  if (tunnel === undefined && others.length > 0) return [];
  // A VXLAN sends from its host's own address, and so to those of its family.
  const open = others.filter((other) => other.publicKey === undefined && family(other) === family(self));
  const elsewhere = open.length === 0 ? '' : `${family(self)} daddr != ${setOf(open)} `;
  const rule = `oifname != ${device(part)} ${elsewhere}${vxlan} counter drop`;
  return [composeChain('sealed', 'type filter hook output priority filter; policy accept;', [rule])];
}

/** Of what else comes out of the tunnel: another host has no other business in this one by it. */
export const nothingElse = (part: BackbonePart): readonly string[] =>
  part.backbone.tunnel ? [`iifname ${device(part)} counter drop`] : [];

/** Nobody's packets are led into the tunnel, or out of it to somebody else. */
export const unforwarded = (part: BackbonePart): readonly string[] =>
  part.backbone.tunnel
    ? [`iifname ${device(part)} counter drop`, `oifname ${device(part)} counter drop`]
    : [];
