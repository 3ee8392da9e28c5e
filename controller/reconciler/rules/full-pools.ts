import { isDeepStrictEqual } from 'node:util';
import type { Draft } from '../draft.ts';

/** Which pools have run out of space, as their hosts say: nothing new is placed there. What a host said last holds while it is silent. */
export function followPools(draft: Draft): void {
  for (const [name, live] of draft.world.live) {
    const doctor = live.report?.doctor;
    if (!doctor || !live.connected) continue;
    const host = draft.get('hosts', name);
    if (!host) continue;
    const before = host.fullPools ?? [];
    if (before.length === 0 && doctor.fullPools.length === 0) continue;
    const now = [...doctor.fullPools].sort();
    if (isDeepStrictEqual(before, now)) continue;
    draft.put('hosts', name, { ...host, fullPools: now });
    for (const pool of now.filter((each) => !before.includes(each)))
      draft.tell('pool-full', name, `pool ${pool} has run out of space: it takes nothing new`, { pool });
    for (const pool of before.filter((each) => !now.includes(each)))
      draft.tell('pool-has-room', name, `pool ${pool} has room again`, { pool });
  }
}
