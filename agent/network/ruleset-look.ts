import { type Block, type Blocks, printBlock } from './nft-blocks.ts';
import { isMerged } from './ruleset-change.ts';

/** How the kernel was seen to list blocks, by their keys. */
export type Seen = ReadonlyMap<string, string>;

/**
 * Whether the kernel has what was written: a block that was seen since must be listed as it was then, of one that has been written since
 * the last look there must be as many rules or elements as were written.
 * @returns how the kernel lists all blocks; null: somebody has changed something.
 */
export function judgeListing(written: Blocks, seen: Seen, listed: Blocks): Seen | null {
  if (written.size !== listed.size) return null;
  for (const [key, block] of written) {
    const found = listed.get(key);
    if (found === undefined) return null;
    const known = seen.get(key);
    if (known === undefined ? !isAsMany(block, found) : known !== printBlock(found)) return null;
  }
  return seenOf(listed);
}

/** Whether there are all tables of a goal: both of this agent's, or the one of an older controller's. @param name of the fleet's tables. */
export const isJudged = (name: string, listed: Blocks): boolean =>
  listed.has(`ip ${name} table `) ||
  ['inet', 'bridge'].every((family) => listed.has(`${family} ${name} table `));

export const seenOf = (listed: Blocks): Seen =>
  new Map([...listed].map(([key, block]) => [key, printBlock(block)]));

/** What lies beside or in each other is merged where the set says so. */
const isAsMany = (written: Block, found: Block) =>
  isMerged(written)
    ? written.items.length > 0 === found.items.length > 0
    : written.items.length === found.items.length;
