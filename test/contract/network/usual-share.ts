import { type ConnectionShare, paceOf } from '../../../agent/network/connection-share.ts';
import { kernelTable } from '../../../agent/network/connection-table.ts';

/** What a host that nobody has told otherwise, and that has room, holds its guests to. */
export async function usualShare(): Promise<ConnectionShare> {
  const fill = await kernelTable.fill();
  return { pace: paceOf(fill?.max ?? null, undefined), barred: [] };
}
