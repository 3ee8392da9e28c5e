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

/** Rules about the hosts with which this one encrypts, by family. @param side `saddr` or `daddr`. */
function aboutSealed(part: BackbonePart, side: 'saddr' | 'daddr'): readonly string[] {
  const all = sealedOthers(part).map(({ underlay }) => underlay);
  return (['ip', 'ip6'] as const).flatMap((family) => {
    const own = all.filter((address) => is4(address) === (family === 'ip')).sort();
    return own.length === 0 ? [] : [`${family} ${side} { ${own.join(', ')} }`];
  });
}

/** Of VXLAN that comes in. */
export const sealedSources = (part: BackbonePart): readonly string[] =>
  aboutSealed(part, 'saddr').map((from) => `iifname != ${device(part)} ${from} counter drop`);

/** Of VXLAN that goes out. @param vxlan what this fleet's packets are known by. */
export function sealedChains(part: BackbonePart, vxlan: string): readonly string[] {
  const rules = aboutSealed(part, 'daddr').map(
    (to) => `oifname != ${device(part)} ${to} ${vxlan} counter drop`,
  );
  if (rules.length === 0) return [];
  return [composeChain('sealed', 'type filter hook output priority filter; policy accept;', rules)];
}

/** Of what else comes out of the tunnel: another host has no other business in this one by it. */
export const nothingElse = (part: BackbonePart): readonly string[] =>
  part.backbone.tunnel ? [`iifname ${device(part)} counter drop`] : [];

/** Nobody's packets are led into the tunnel, or out of it to somebody else. */
export const unforwarded = (part: BackbonePart): readonly string[] =>
  part.backbone.tunnel
    ? [`iifname ${device(part)} counter drop`, `oifname ${device(part)} counter drop`]
    : [];
