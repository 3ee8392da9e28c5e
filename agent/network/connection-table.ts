import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { fullOf6, is4 } from './addresses.ts';
import type { TableFill } from './connection-share.ts';

const FOLDER = '/proc/sys/net/netfilter';
const LIST = '/proc/net/nf_conntrack';
const SOURCE = / src=(\S+)/;

/** Of this network namespace. */
export interface ConnectionTable {
  /** Null: the kernel tracks none, or does not say. */
  fill(): Promise<TableFill | null>;
  /**
   * How many connections each owner's addresses have begun. All of the table is read: to be asked when it is nearly full.
   * @param owners by address, in any form.
   */
  countBy(owners: ReadonlyMap<string, string>): Promise<ReadonlyMap<string, number>>;
}

export const kernelTable: ConnectionTable = {
  async fill() {
    const [count, max] = await Promise.all(['count', 'max'].map(readNumber));
    return count != null && max ? { count, max } : null;
  },
  async countBy(owners) {
    const counts = new Map<string, number>();
    const printed = new Map(
      [...owners].map(([address, owner]) => [is4(address) ? address : fullOf6(address), owner]),
    );
    for await (const line of createInterface({ input: createReadStream(LIST) })) {
      const owner = printed.get(SOURCE.exec(line)?.[1] ?? '');
      if (owner !== undefined) counts.set(owner, (counts.get(owner) ?? 0) + 1);
    }
    return counts;
  },
};

async function readNumber(what: string): Promise<number | null> {
  const text = await readFile(`${FOLDER}/nf_conntrack_${what}`, 'utf8').catch(() => '');
  return /^\d+$/.test(text.trim()) ? Number(text) : null;
}
