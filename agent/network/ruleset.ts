import { composeBridgeTable } from './bridge-table.ts';
import { composeInetTable } from './inet-table.ts';
import { tableName } from './names.ts';
import { composeTable } from './nft-table.ts';
import { composeTableRemoval } from './nft-text.ts';
import { isRouting, type RouterPart } from './router-part.ts';

/** All that a fleet may have, by family: `ip` is of a controller, or of an agent, that is older. */
export const FAMILIES = ['ip', 'inet', 'bridge'] as const;

/**
 * Everything that this host's kernel is to filter and translate, as one file of nftables. It is one transaction: what was there of the
 * fleet's goes, and what is to be comes, with no moment between. Connections are the kernel's own, and live on.
 */
export function composeRuleset(
  part: RouterPart,
  guarded: readonly string[],
  never: readonly string[] = [],
): string {
  const name = tableName(part.fleet);
  if (!isRouting(part))
    return `${composeTableRemoval('inet', name)}${composeTableRemoval('bridge', name)}${composeTable(part.fleet, part.networks)}`;
  return `${composeRulesetRemoval(part.fleet)}${composeInetTable(part, guarded, never)}${composeBridgeTable(part)}`;
}

/** Succeeds too when nothing is there. */
export const composeRulesetRemoval = (fleet: string): string =>
  FAMILIES.map((family) => composeTableRemoval(family, tableName(fleet))).join('');
