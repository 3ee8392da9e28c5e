import type { Hello } from '../../../agent/protocol/index.ts';
import type { HostRecord } from '../../model/records.ts';
import { areSame } from '../are-same.ts';
import { derived } from '../derived.ts';
import type { Draft } from '../draft.ts';
import type { LiveHost } from '../world.ts';

export interface LivenessSettings {
  /** A host not heard from for so long is suspect: it takes nothing new. */
  readonly suspectAfterMs: number;
  /** A host not heard from for so long is down. */
  readonly downAfterMs: number;
}

const FLAPPING_WINDOW_MS = 3_600_000;
/** The first return within the window is free, the next ones are held off, each for twice as long. */
const HOLD_OFF = { firstMs: 60_000, factor: 2, maximumMs: 1_800_000 };
const MOST_DOWNS_KEPT = 16;

/** `up → suspect → down`, by what is heard; and back, by a session. After a start of the controller every host has its time to be heard. */
export function followHosts(draft: Draft, settings: LivenessSettings): void {
  const { world, nowMs } = draft;
  const hosts = draft.all('hosts');
  const known = derived(hosts, noneKnown);
  for (let index = 0; index < hosts.length; index++) {
    const host = hosts[index] as HostRecord;
    const live = world.live.get(host.name);
    const heardMs = live?.lastHeardMs ?? 0;
    const silentMs = nowMs - Math.max(heardMs, world.listeningSinceMs);
    const hello = live?.connected === true ? live.hello : null;
    // That this controller was held up keeps a host up, and brings none back: the session of one that lost its power never ended.
    const quietMs = host.state === 'up' ? silentMs : nowMs - heardMs;
    if (hello && quietMs < settings.suspectAfterMs) {
      if (known[index] === hello) continue;
      if (isKnown(host, hello)) known[index] = hello;
      else goUp(draft, host, hello);
    } else if (host.state === 'up' || host.state === 'suspect')
      growSilent(draft, host, live, silentMs, settings);
  }
  endHoldOffs(draft);
}

/** Silent for too long, whether proven dead or not. */
export const isLost = ({ state }: Pick<HostRecord, 'state'>): boolean =>
  state === 'down' || state === 'fenced';

/** Of each of these records the hello that it is known to owe what it says to. */
const noneKnown = (hosts: readonly HostRecord[]): (Hello | null)[] => hosts.map(() => null);

function goUp(draft: Draft, host: HostRecord, hello: Hello): void {
  const { facts, offer, bootId } = hello;
  const restarted = host.bootId !== null && host.bootId !== bootId;
  const evidence = restarted ? 'it has been restarted and is in session' : 'it is in session';
  draft.put('hosts', host.name, {
    ...host,
    ...{ state: 'up', evidence, facts, offer, bootId, proof: null, fencing: null },
    ...(host.awaitedUntilMs === undefined ? {} : { awaitedUntilMs: null }),
    heldOffUntilMs: isLost(host) ? holdOffUntilMs(host, draft.nowMs) : host.heldOffUntilMs,
    stateSinceMs: host.state === 'up' ? host.stateSinceMs : draft.nowMs,
  });
  if (host.state === 'up' && !restarted) return;
  draft.tell('host-up', host.name, `${host.state} ⇒ up: ${evidence}`, {
    accelerator: facts.accelerator.kind,
    bootId,
  });
  // Of a host that lost its lease only the machines on shared pools are proven dead.
  if (host.state === 'fenced' && !restarted && host.proof?.kind !== 'lease-expired')
    draft.tell(
      'host-undead',
      host.name,
      `it is alive, and still the same boot, although ${host.proof?.detail ?? 'it was declared dead'}: look at its fence device`,
      { proof: host.proof },
    );
}

/** The hello to which a host's record owes what it says. Neither ever changes. */
const takenIn = new WeakMap<HostRecord, Hello>();

/** The host is up by its record, which says all that the hello does. */
export function isKnown(host: HostRecord, hello: Hello): boolean {
  if (takenIn.get(host) === hello) return true;
  const known =
    host.state === 'up' &&
    host.bootId === hello.bootId &&
    areSame(host.facts, hello.facts) &&
    areSame(host.offer, hello.offer);
  if (known) takenIn.set(host, hello);
  return known;
}

function growSilent(
  draft: Draft,
  host: HostRecord,
  live: LiveHost | undefined,
  silentMs: number,
  settings: LivenessSettings,
): void {
  const silence = `not heard from for ${(silentMs / 1000).toFixed(1)} s`;
  if (silentMs >= settings.downAfterMs) {
    const since = draft.nowMs - FLAPPING_WINDOW_MS;
    const before = host.downsAtMs.filter((atMs) => atMs > since);
    // In maintenance it goes down because somebody wants it to.
    const downsAtMs = host.mode === 'maintenance' ? before : [...before, draft.nowMs].slice(-MOST_DOWNS_KEPT);
    become(draft, { ...host, downsAtMs }, 'down', silence);
  } else if (host.state === 'up') {
    // Before it was first heard, a session that is not there says nothing.
    const ended = live?.connected === false && live.lastHeardMs > 0;
    if (ended)
      become(draft, host, 'suspect', `its session ended: ${live.endedBecause ?? 'no reason was given'}`);
    else if (silentMs >= settings.suspectAfterMs) become(draft, host, 'suspect', silence);
  }
}

function become(draft: Draft, host: HostRecord, state: 'suspect' | 'down', evidence: string): void {
  draft.put('hosts', host.name, { ...host, state, evidence, stateSinceMs: draft.nowMs });
  draft.tell(`host-${state}`, host.name, `${host.state} ⇒ ${state}: ${evidence}`);
}

/** A host that goes down again and again gets nothing new for a while when it returns. */
function holdOffUntilMs(host: HostRecord, nowMs: number): number | null {
  const downs = host.downsAtMs.filter((atMs) => atMs > nowMs - FLAPPING_WINDOW_MS).length;
  if (downs < 2) return null;
  return nowMs + Math.min(HOLD_OFF.maximumMs, HOLD_OFF.firstMs * HOLD_OFF.factor ** (downs - 2));
}

const heldOffHosts = (hosts: readonly HostRecord[]): readonly HostRecord[] =>
  hosts.filter(({ heldOffUntilMs }) => heldOffUntilMs !== null);

function endHoldOffs(draft: Draft): void {
  for (const host of draft.of('hosts', heldOffHosts)) {
    if (host.heldOffUntilMs === null || host.heldOffUntilMs > draft.nowMs) continue;
    draft.put('hosts', host.name, { ...host, heldOffUntilMs: null });
    draft.tell('host-trusted', host.name, 'it has stayed long enough: it takes VMs again');
  }
}

/**
 * Unix ms at which a host will be suspect or down unless it is heard before; null: none.
 * @param live when each was heard last.
 */
export function nextSilenceMs(
  hosts: Iterable<HostRecord>,
  live: ReadonlyMap<string, Pick<LiveHost, 'lastHeardMs'>>,
  listeningSinceMs: number,
  settings: LivenessSettings,
): number | null {
  let next: number | null = null;
  for (const { name, state } of hosts) {
    if (state !== 'up' && state !== 'suspect') continue;
    const limitMs = state === 'up' ? settings.suspectAfterMs : settings.downAfterMs;
    const atMs = Math.max(live.get(name)?.lastHeardMs ?? 0, listeningSinceMs) + limitMs;
    if (next === null || atMs < next) next = atMs;
  }
  return next;
}

/** Unix ms at which a host that is held off is trusted again; null: none is. */
export function nextTrustMs(draft: Draft): number | null {
  let next: number | null = null;
  for (const { heldOffUntilMs } of draft.of('hosts', heldOffHosts))
    if (heldOffUntilMs !== null && (next === null || heldOffUntilMs < next)) next = heldOffUntilMs;
  return next;
}
