import { isIPv4, isIPv6 } from 'node:net';
import type { NamesGoal } from './network.ts';

type NameRecord = NamesGoal['records'][number];

/** Priority, weight, port, and a name relative to the zone. */
const SERVICE = /^\d{1,5} \d{1,5} \d{1,5} [a-z0-9]([a-z0-9.-]{0,240}[a-z0-9])?$/;
const LONGEST_NAME = 253;
const LONGEST_LABEL = 63;

const isName = (name: string, zone: string) =>
  `${name}.${zone}`.length <= LONGEST_NAME &&
  name.split('.').every((label) => label.length > 0 && label.length <= LONGEST_LABEL);

const IS_DATA: Readonly<Record<NameRecord['type'], (data: string) => boolean>> = {
  A: (data) => isIPv4(data),
  AAAA: (data) => isIPv6(data) && !data.includes('%'),
  SRV: (data) => SERVICE.test(data),
};

/**
 * Why a record is none that can stand in a zone file; null: it can. One that could not would take all others with it: name servers leave it
 * out, and say by the digest of the others what they serve. So the controller goes by this rule too.
 */
export function refusalOf({ name, type, data }: NameRecord, zone: string): string | null {
  if (!isName(name, zone)) return `${name}.${zone} is no name of DNS`;
  if (!IS_DATA[type](data)) return `${name}.${zone} has no ${type} ${JSON.stringify(data)}`;
  return null;
}
