import { createHash } from 'node:crypto';
import type { NamesGoal } from './network.ts';

/** What a name server says of the zone that it serves, and the controller knows it by: of the records in the goal's order. */
export function digestOfNames({ zone, ttlSeconds, records }: NamesGoal): string {
  const hash = createHash('sha256').update(`${zone} ${ttlSeconds}\n`);
  for (const { name, type, data } of records) hash.update(`${name} ${type} ${data}\n`);
  return `sha256:${hash.digest('hex')}`;
}
