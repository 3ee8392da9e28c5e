import { isSameDocument } from '../../../agent/kit/same-document.ts';
import type { ApartPool, HostRecord } from '../../model/records.ts';
import type { Draft } from '../draft.ts';
import { areApart, sharedPoolOf } from '../shared-pools.ts';

/**
 * Pools that are one by name and id, and several in fact: which hosts have which storage, and whose is the odd one. No machine goes
 * between two of them (`Placement`), and none is made on the odd ones. A host that is away stays as it was.
 */
export function followApartPools(draft: Draft): void {
  for (const [pool, hosts] of draft.of('hosts', doubtfulGroups)) {
    const storages = storagesOf(pool, hosts);
    const [main] = storages.sort(byUse(draft, pool));
    for (const storage of storages)
      for (const host of storage) {
        const from = [...hosts.filter((other) => areApart(pool, host, other)), ...awayOf(draft, host, pool)]
          .map(({ name }) => name)
          .sort();
        note(draft, host, pool, from.length === 0 ? null : { from, isOdd: storage !== main });
      }
  }
  forgetNotOffered(draft);
}

const hostsApart = (hosts: readonly HostRecord[]): readonly HostRecord[] =>
  hosts.filter(({ apartPools }) => apartPools !== undefined);

/** A pool that a host does not offer any more is apart from nothing. */
function forgetNotOffered(draft: Draft): void {
  for (const host of draft.of('hosts', hostsApart)) {
    const apart = Object.entries(host.apartPools ?? {});
    const offered = apart.filter(([pool]) => host.state !== 'up' || sharedPoolOf(host, pool) !== undefined);
    if (offered.length < apart.length)
      draft.put('hosts', host.name, { ...host, apartPools: Object.fromEntries(offered) });
  }
}

/** Hosts that are up, by the pools that they offer and share; those that are of one mind are left out. */
function doubtfulGroups(
  all: readonly HostRecord[],
): readonly (readonly [pool: string, hosts: readonly HostRecord[]])[] {
  const found = new Map<string, [pool: string, hosts: HostRecord[]]>();
  const concerned = new Set<string>();
  for (const host of all) {
    if (host.state !== 'up') continue;
    for (const [pool, { id, seen }] of Object.entries(host.sharedPools ?? {})) {
      const key = `${pool} ${id}`;
      // What it said of a pool that it does not offer now is of another time.
      if (sharedPoolOf(host, pool)?.id === id) {
        const group = found.get(key) ?? [pool, []];
        group[1].push(host);
        found.set(key, group);
      }
      if (host.apartPools?.[pool] || Object.values(seen).includes(false)) concerned.add(key);
    }
  }
  return [...found].flatMap(([key, group]) => (concerned.has(key) ? [group] : []));
}

/** Hosts of one storage each: whoever is not known to be apart from one of them belongs to them. */
function storagesOf(pool: string, hosts: readonly HostRecord[]): HostRecord[][] {
  const left = new Set(hosts);
  const storages: HostRecord[][] = [];
  for (const first of hosts) {
    if (!left.delete(first)) continue;
    const storage = [first];
    for (const host of storage)
      for (const other of [...left])
        if (!areApart(pool, host, other)) {
          left.delete(other);
          storage.push(other);
        }
    storages.push(storage);
  }
  return storages;
}

/** Those that are not up, and whose beats it still does not find. */
const awayOf = (draft: Draft, host: HostRecord, pool: string): readonly HostRecord[] =>
  (host.apartPools?.[pool]?.from ?? [])
    .flatMap((name) => draft.get('hosts', name) ?? [])
    .filter((other) => other.state !== 'up' && areApart(pool, host, other));

/** The one that has most machines first, then the one of most hosts, then by name: nothing of it changes by itself. */
function byUse(draft: Draft, pool: string) {
  const machines = new Map<string, number>();
  for (const { kind, host, pool: its } of draft.all('vms'))
    if (kind === 'machine' && host !== null && its === pool)
      machines.set(host, (machines.get(host) ?? 0) + 1);
  const used = (storage: readonly HostRecord[]) =>
    storage.reduce((sum, { name }) => sum + (machines.get(name) ?? 0), 0);
  const first = (storage: readonly HostRecord[]) => storage.map(({ name }) => name).sort()[0] ?? '';
  return (one: readonly HostRecord[], other: readonly HostRecord[]) =>
    used(other) - used(one) || other.length - one.length || (first(one) < first(other) ? -1 : 1);
}

function note(draft: Draft, host: HostRecord, pool: string, apart: ApartPool | null): void {
  const current = draft.get('hosts', host.name) ?? host;
  const before = current.apartPools?.[pool] ?? null;
  if (isSameDocument(before, apart)) return;
  const { [pool]: _before, ...others } = current.apartPools ?? {};
  draft.put('hosts', host.name, {
    ...current,
    apartPools: apart === null ? others : { ...others, [pool]: apart },
  });
  if (apart === null)
    draft.tell('pool-together', host.name, `pool ${pool} is one with the others again`, { pool });
  else if (!isSameDocument(before?.from, apart.from))
    draft.tell('pool-apart', host.name, describeApart(pool, apart), { pool, ...apart });
}

/** For operators: what it is, what it means, what to do. */
export const describeApart = (pool: string, { from, isOdd }: ApartPool): string =>
  `pool ${pool} is not the storage that ${from.join(', ')} ${from.length === 1 ? 'has' : 'have'} under this name and id, but a copy or another mount: no machine goes between them${isOdd ? ', and none is made here' : ''}. Mount the same storage on all of them`;
