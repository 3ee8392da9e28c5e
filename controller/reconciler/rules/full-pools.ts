import { isSameDocument } from '../../../agent/kit/same-document.ts';
import type { Draft } from '../draft.ts';
import { telling } from '../live-hosts.ts';
import type { LiveHost } from '../world.ts';

/** Which pools have run out of space, as their hosts say: nothing new is placed there. What a host said last holds while it is silent. */
export function followPools(draft: Draft): void {
  for (const [name, live] of telling(draft.world.live, tellsOfPools)) {
    const doctor = live.report?.doctor;
    if (!doctor) continue;
    const host = draft.get('hosts', name);
    if (!host) continue;
    const before = host.fullPools ?? [];
    if (before.length === 0 && doctor.fullPools.length === 0) continue;
    const now = [...doctor.fullPools].sort();
    if (isSameDocument(before, now)) continue;
    draft.put('hosts', name, { ...host, fullPools: now });
    for (const pool of now.filter((each) => !before.includes(each)))
      draft.tell('pool-full', name, `pool ${pool} has run out of space: it takes nothing new`, { pool });
    for (const pool of before.filter((each) => !now.includes(each)))
      draft.tell('pool-has-room', name, `pool ${pool} has room again`, { pool });
  }
}

const tellsOfPools = ({ connected, report }: LiveHost): boolean => connected && report?.doctor !== undefined;
