import type { HostRecord } from '../../model/records.ts';
import { derived } from '../derived.ts';
import type { Draft } from '../draft.ts';
import { listOf } from '../listed-map.ts';

/** More silent hosts than this share, and at least so many, look like our own fault rather than theirs. */
const HOLD_SHARE = 1 / 3;
const HOLD_HOSTS = 2;

/** True when so many hosts are silent at once that nothing is healed. A host that was proven dead is not silent. Worked out once for each change of hosts. */
export const isHolding = (draft: Draft): boolean => draft.of('hosts', isTooMany);

/** What is on it is not made anew, and it is not fenced: too many hosts are silent, or were until a moment ago. */
export const isHeld = (draft: Draft, host: HostRecord | undefined): boolean =>
  isHolding(draft) || (host?.awaitedUntilMs ?? 0) > draft.nowMs;

/**
 * Tells, once each, when healing begins and ends to hold still. That a host was silent with too many others says nothing of it: it does not
 * count as one that comes and goes, and one that is still silent when enough others are back has its time to be heard.
 * @param timeMs how long that is.
 */
export function followHolding(draft: Draft, timeMs: number): void {
  const before = derived(listOf(draft.world.hosts), isTooMany);
  const now = isHolding(draft);
  const silent = before || now ? draft.all('hosts').filter(({ state }) => state === 'down') : [];
  if (now) for (const host of silent) forgetDown(draft, host);
  if (before === now) return;
  const names = silent.map(({ name }) => name);
  if (now)
    draft.tell(
      'healing-held',
      'fabric',
      `${names.join(', ')} are silent at once: that looks like the controller's own network, so nothing is re-placed; ` +
        'it goes on when hosts are back, or when an operator signs for those that are dead: weft host confirm-dead HOST',
      { silent: names },
    );
  else {
    for (const host of silent)
      draft.put('hosts', host.name, { ...host, awaitedUntilMs: draft.nowMs + timeMs });
    const wait =
      names.length === 0 ? '' : `; ${names.join(', ')}: ${timeMs / 1_000} s are left to be heard as well`;
    draft.tell('healing-resumed', 'fabric', `enough hosts are heard from again, or known to be dead${wait}`);
  }
}

/** The last time it went down, if that is why it is down. */
function forgetDown(draft: Draft, host: HostRecord): void {
  const { downsAtMs, stateSinceMs } = host;
  if (downsAtMs.at(-1) === stateSinceMs)
    draft.put('hosts', host.name, { ...host, downsAtMs: downsAtMs.slice(0, -1) });
}

const awaitedHosts = (hosts: readonly HostRecord[]): readonly HostRecord[] =>
  hosts.filter(({ awaitedUntilMs }) => (awaitedUntilMs ?? null) !== null);

/** Unix ms at which a host that is silent still is not waited for any longer; null: none is. */
export function nextAwaitedMs(draft: Draft): number | null {
  const times = draft
    .of('hosts', awaitedHosts)
    .flatMap(({ awaitedUntilMs }) =>
      awaitedUntilMs != null && awaitedUntilMs > draft.nowMs ? [awaitedUntilMs] : [],
    );
  return times.length === 0 ? null : Math.min(...times);
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
