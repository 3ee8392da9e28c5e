import { composeBridgeTable } from './bridge-table.ts';
import { type ConnectionShare, WHOLE } from './connection-share.ts';
import { composeInetTable } from './inet-table.ts';
import { tableName } from './names.ts';
import { composeTable } from './nft-table.ts';
import { composeTableRemoval } from './nft-text.ts';
import { isRouting, type RouterPart, type RoutingPart } from './router-part.ts';

/** All that a fleet may have, by family: `ip` is of a controller, or of an agent, that is older. */
export const FAMILIES = ['ip', 'inet', 'bridge'] as const;

/**
 * Everything that this host's kernel is to filter and translate, as one file of nftables. It is one transaction: what was there of the
 * fleet's goes, and what is to be comes, with no moment between. Connections are the kernel's own, and live on.
 * @param isInhabited guests' interfaces are still here, whatever the goal knows: to them everything is closed.
 */
export function composeRuleset(
  part: RouterPart,
  guarded: readonly string[],
  never: readonly string[] = [],
  isInhabited = false,
  share: ConnectionShare = WHOLE,
): string {
  const name = tableName(part.fleet);
  const routing = isRouting(part) ? part : isInhabited ? closed(part) : null;
  if (routing === null)
    return `${composeTableRemoval('inet', name)}${composeTableRemoval('bridge', name)}${composeTable(part.fleet, part.networks)}`;
  return `${composeRulesetRemoval(part.fleet)}${composeInetTable(routing, guarded, never, share)}${composeBridgeTable(routing)}`;
}

/** Rules that know of no guest let none through. A goal that has guests and knows no routers is an older controller's, and stays as it is. */
const closed = (part: RouterPart): RoutingPart | null =>
  part.networks.length > 0 ? null : { ...part, router: part.router ?? NO_FLOWS };

const NO_FLOWS = { subnets: [], flows: [], routes: [], outbound: [] };

/** Succeeds too when nothing is there. */
export const composeRulesetRemoval = (fleet: string): string =>
  FAMILIES.map((family) => composeTableRemoval(family, tableName(fleet))).join('');
