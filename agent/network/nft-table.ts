import type { NetworkGoal } from '../protocol/index.ts';
import { tableName } from './names.ts';

/** Guests of the fleet reach each other under their own addresses; only what leaves the fleet's range is translated. */
export const FLEET_RANGE = '10.128.0.0/10';

/** Succeeds too when the table is not there. */
const composeRemoval = (fleet: string) =>
  `table ip ${tableName(fleet)} {}\ndelete table ip ${tableName(fleet)}\n`;

/**
 * The whole table as one nftables file: it is created, emptied and filled in one transaction, so that there is no moment
 * without rules; without a subnet there is no table. Addresses come from the goal's schema: digits, dots and a slash.
 */
export function composeTable(fleet: string, networks: readonly Pick<NetworkGoal, 'cidr'>[]): string {
  const table = tableName(fleet);
  if (networks.length === 0) return composeRemoval(fleet);
  const rules = [...networks]
    .map((network) => network.cidr)
    .sort()
    .map((cidr) => `    ip saddr ${cidr} ip daddr != ${FLEET_RANGE} masquerade`);
  return [
    `table ip ${table} {}`,
    `delete table ip ${table}`,
    `table ip ${table} {`,
    '  chain postrouting {',
    '    type nat hook postrouting priority srcnat; policy accept;',
    ...rules,
    '  }',
    '}',
    '',
  ].join('\n');
}
