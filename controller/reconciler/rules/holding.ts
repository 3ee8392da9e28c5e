import type { HostRecord } from '../../model/records.ts';
import { derived } from '../derived.ts';
import type { Draft } from '../draft.ts';
import { listOf } from '../listed-map.ts';

/** More silent hosts than this share, and at least so many, look like our own fault rather than theirs. */
const HOLD_SHARE = 1 / 3;
const HOLD_HOSTS = 2;

/** True when so many hosts are silent at once that nothing is healed. A host that was proven dead is not silent. Worked out once for each change of hosts. */
export const isHolding = (draft: Draft): boolean => draft.of('hosts', isTooMany);

/** Tells, once each, when healing begins and ends to hold still. */
export function tellHolding(draft: Draft): void {
  const before = derived(listOf(draft.world.hosts), isTooMany);
  const now = isHolding(draft);
  if (before === now) return;
  const silent = [...draft.all('hosts')].filter(({ state }) => state === 'down').map(({ name }) => name);
  if (now)
    draft.tell(
      'healing-held',
      'fabric',
      `${silent.join(', ')} are silent at once: that looks like the controller's own network, so nothing is re-placed; ` +
        'it goes on when hosts are back, or when an operator signs for those that are dead: weft host confirm-dead HOST',
      { silent },
    );
  else draft.tell('healing-resumed', 'fabric', 'enough hosts are heard from again, or known to be dead');
}

function isTooMany(hosts: readonly HostRecord[]): boolean {
  let known = 0;
  let silent = 0;
  for (const { state, mode } of hosts) {
    // An empty host that an operator works on is silent for his reasons, and has nothing to be healed.
    if (state === 'joining' || mode === 'maintenance') continue;
    known++;
    if (state === 'down') silent++;
  }
  return silent >= HOLD_HOSTS && silent > known * HOLD_SHARE;
}
