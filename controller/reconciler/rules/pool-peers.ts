import { isSameDocument } from '../../../agent/kit/same-document.ts';
import type { PoolPeers } from '../../../agent/protocol/index.ts';
import type { HostRecord, SharedPoolView } from '../../model/records.ts';
import type { Draft } from '../draft.ts';
import { telling } from '../live-hosts.ts';
import type { LiveHost } from '../world.ts';

/** Hosts look each second while they seek: by then, one that still does not find the other has said so. */
const LOOKED_MS = 2_000;

/**
 * Which hosts find what the others have left in the pools they share. That a beat is there shows one storage at once; that it is not
 * shows two storages only when the host has looked long enough after it was written. What a host that is away had been found
 * to have stays so: its file may be lost, but nobody can write another.
 * @param graceMs a beat has so long to be found.
 */
export function followPoolPeers(draft: Draft, graceMs: number): void {
  const looks = looksOf(draft);
  if (looks.length === 0) return;
  for (const { name, peers } of looks) takeBeatsIn(draft, name, peers);
  const sharers = draft.of('hosts', sharersOf);
  for (const look of looks) judge(draft, look, sharers, graceMs);
}

/** Unix ms at which a beat that was not found yet may be missing; null: none is awaited. */
export function nextPoolPeersMs(draft: Draft, graceMs: number): number | null {
  const looks = looksOf(draft);
  if (looks.length === 0) return null;
  const sharers = draft.of('hosts', sharersOf);
  let next: number | null = null;
  for (const { name, peers } of looks) {
    const viewer = draft.get('hosts', name);
    for (const { pool, id, seen } of peers)
      for (const peer of othersOf(sharers, pool, id, name)) {
        const view = peer.sharedPools?.[pool];
        if (!view || isFound(view, seen[peer.name]) || isSettled(viewer, pool, peer)) continue;
        if (!speaks(draft, peer)) continue;
        const atMs = Math.max(view.sinceMs + graceMs, draft.nowMs) + LOOKED_MS;
        if (next === null || atMs < next) next = atMs;
      }
  }
  return next;
}

interface Look {
  readonly name: string;
  readonly peers: readonly PoolPeers[];
  /** When it began, Unix ms on the controller's clock. */
  readonly lookedMs: number;
}

function lookOf(name: string, { connected, report, lastHeardMs }: LiveHost): Look | null {
  if (!connected || !report?.peers) return null;
  return { name, peers: report.peers, lookedMs: lastHeardMs - (report.peersAgeMs ?? 0) };
}

const tellsOfPeers = ({ connected, report }: LiveHost): boolean => connected && report?.peers !== undefined;

const looksOf = ({ world: { live } }: Draft): readonly Look[] =>
  [...telling(live, tellsOfPeers)].flatMap((name) => {
    const each = live.get(name);
    return (each && lookOf(name, each)) ?? [];
  });

function takeBeatsIn(draft: Draft, name: string, peers: readonly PoolPeers[]): void {
  const host = draft.get('hosts', name);
  if (!host) return;
  const known = host.sharedPools ?? {};
  const now: Record<string, SharedPoolView> = { ...known };
  for (const { pool, id, beats } of peers) {
    const before = known[pool];
    if (before?.id === id && isSameDocument(before.beats, beats)) continue;
    const isSameMount = before?.id === id && beats.some((beat) => before.beats.includes(beat));
    const seen = before?.id !== id ? {} : isSameMount ? before.seen : missing(before.seen);
    now[pool] = { id, beats, sinceMs: draft.nowMs, seen };
    if (before && !isSameMount) forgetFound(draft, name, pool);
  }
  if (!isSameDocument(known, now)) draft.put('hosts', name, { ...host, sharedPools: now });
}

/** That hosts were of one storage says nothing of what is mounted now. That they were not holds until one finds the other. */
const missing = (seen: SharedPoolView['seen']): SharedPoolView['seen'] =>
  Object.fromEntries(Object.entries(seen).filter(([, found]) => !found));

/** Hosts that are away did not see the new mount, and would go by the old one when they return. */
function forgetFound(draft: Draft, name: string, pool: string): void {
  for (const host of [...draft.all('hosts')]) {
    const view = host.sharedPools?.[pool];
    if (view?.seen[name] !== true) continue;
    const { [name]: _found, ...seen } = view.seen;
    draft.put('hosts', host.name, {
      ...host,
      sharedPools: { ...host.sharedPools, [pool]: { ...view, seen } },
    });
  }
}

type Sharers = ReadonlyMap<string, readonly HostRecord[]>;

function sharersOf(hosts: readonly HostRecord[]): Sharers {
  const sharers = new Map<string, HostRecord[]>();
  for (const host of hosts)
    for (const [pool, { id }] of Object.entries(host.sharedPools ?? {})) {
      const key = `${pool} ${id}`;
      const those = sharers.get(key);
      if (those) those.push(host);
      else sharers.set(key, [host]);
    }
  return sharers;
}

const othersOf = (sharers: Sharers, pool: string, id: string, name: string) =>
  (sharers.get(`${pool} ${id}`) ?? []).filter((host) => host.name !== name);

function judge(draft: Draft, { name, peers, lookedMs }: Look, sharers: Sharers, graceMs: number): void {
  const viewer = draft.get('hosts', name);
  if (!viewer?.sharedPools) return;
  const views: Record<string, SharedPoolView> = { ...viewer.sharedPools };
  for (const { pool, id, seen: found } of peers) {
    const view = views[pool];
    if (!view) continue;
    const seen: Record<string, boolean> = {};
    const unfound: string[] = [];
    for (const peer of othersOf(sharers, pool, id, name)) {
      const its = peer.sharedPools?.[pool];
      const before = view.seen[peer.name];
      const isLate = its !== undefined && lookedMs >= its.sinceMs + graceMs && speaks(draft, peer);
      const verdict =
        its !== undefined && isFound(its, found[peer.name])
          ? true
          : isLate && !isSettled(viewer, pool, peer)
            ? false
            : before;
      if (verdict !== undefined) seen[peer.name] = verdict;
      else if (peer.state === 'up') unfound.push(peer.name);
    }
    const { unfound: _before, ...rest } = view;
    const next = { ...rest, seen, ...(unfound.length === 0 ? {} : { unfound: unfound.sort() }) };
    if (!isSameDocument(next, view)) views[pool] = next;
  }
  if (!isSameDocument(views, viewer.sharedPools)) draft.put('hosts', name, { ...viewer, sharedPools: views });
}

/** Of one that is not heard the beat on record may be an older one: its agent may have been started anew since, and not have told. */
const speaks = (draft: Draft, { name }: HostRecord): boolean => {
  const live = draft.world.live.get(name);
  return live !== undefined && tellsOfPeers(live);
};

const isFound = ({ beats }: SharedPoolView, beat: string | undefined): boolean =>
  beat !== undefined && beats.includes(beat);

/** That its beat is missing would say nothing new of this host: it is known to be apart, or it is away and was known to be there. */
function isSettled(viewer: HostRecord | undefined, pool: string, peer: HostRecord): boolean {
  const before = viewer?.sharedPools?.[pool]?.seen[peer.name];
  return before === false || (before === true && peer.state !== 'up');
}
