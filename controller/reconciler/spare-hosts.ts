import { createHash } from 'node:crypto';
import { isSameDocument } from '../../agent/kit/same-document.ts';
import { blobsOf, type Goal, type ImageGoal } from '../../agent/protocol/index.ts';
import type { HostRecord, VmRecord } from '../model/records.ts';
import { derived } from './derived.ts';
import type { WorldCache } from './world-cache.ts';

/** On how many hosts beside those that run it a role's image is kept ready. In a lab that is all of them; a large fleet is not filled with each image. */
const SPARES = 8;

type Prefetch = Goal['prefetch'][number];
type Changed = ReturnType<WorldCache['apply']>;

/** By host: what instances that run elsewhere are made of. When they have to be made anew here, nothing is to be fetched. */
export type SpareImages = ReadonlyMap<string, readonly Prefetch[]>;

/** Of the hosts that could run an image and do not, each image has its own order: one that comes or goes changes no other's place in it. */
export function spareImages(
  vms: ReadonlyMap<string, VmRecord>,
  hosts: ReadonlyMap<string, HostRecord>,
): SpareImages {
  const spares = new Map<string, Map<string, Prefetch>>();
  for (const { image, pool, homes } of imagesInUse(vms)) {
    const ready = [...hosts.values()].filter((host) => !homes.has(host.name) && couldRun(host, image, pool));
    for (const { name } of inOrderOf(image, ready).slice(0, SPARES)) {
      const blobs = spares.get(name) ?? new Map<string, Prefetch>();
      spares.set(name, blobs);
      for (const blob of blobsOf(image)) blobs.set(blob.digest, blob);
    }
  }
  return new Map([...spares].map(([name, blobs]) => [name, [...blobs.values()]]));
}

/** Hosts that these have another list for. */
export const sparesThatDiffer = (before: SpareImages, after: SpareImages): readonly string[] =>
  [...new Set([...before.keys(), ...after.keys()])].filter(
    (host) => !isSameDocument(before.get(host) ?? [], after.get(host) ?? []),
  );

/** Whether spare images may be other ones after these changes. */
export const touchSpares = (changes: Changed): boolean =>
  changes.some(({ kind, before, after }) => {
    const part = kind === 'vms' ? partOfVm : kind === 'hosts' ? partOfHost : null;
    return part !== null && !isSameDocument(part(before as never), part(after as never));
  });

/**
 * Instances whose image is kept ready elsewhere: those that have been ready once. Before that the network is theirs, and their image may be
 * one that does not work.
 */
const counts = ({ role, image, host, deleting, incarnation, readyAtMs }: VmRecord): boolean =>
  role !== null && image !== null && host !== null && !deleting && (readyAtMs !== null || incarnation > 1);

const partOfVm = (vm: VmRecord | undefined): unknown =>
  vm && counts(vm) ? [vm.host, vm.image, vm.pool] : null;

const partOfHost = (host: HostRecord | undefined): unknown =>
  host && [
    isThere(host.state),
    host.draining,
    host.mode,
    host.fullPools,
    host.facts?.architecture,
    host.offer?.pools.map(({ name }) => name),
  ];

function imagesInUse(vms: ReadonlyMap<string, VmRecord>) {
  const inUse = new Map<string, { image: ImageGoal; pool: string; homes: Set<string> }>();
  for (const vm of vms.values()) {
    if (!counts(vm) || !vm.image || vm.host === null) continue;
    const key = `${vm.pool} ${derived(vm.image, digestsOf)}`;
    const known = inUse.get(key) ?? { image: vm.image, pool: vm.pool, homes: new Set<string>() };
    known.homes.add(vm.host);
    inUse.set(key, known);
  }
  return [...inUse.values()];
}

const digestsOf = (image: ImageGoal): string =>
  blobsOf(image)
    .map(({ digest }) => digest)
    .join(' ');

/** A host that is silent for a moment is not replaced yet. */
const isThere = (state: HostRecord['state']): boolean => state === 'up' || state === 'suspect';

const couldRun = (
  { state, draining, mode, facts, offer, fullPools }: HostRecord,
  image: ImageGoal,
  pool: string,
): boolean =>
  isThere(state) &&
  !draining &&
  mode !== 'maintenance' &&
  !fullPools?.length &&
  facts?.architecture === image.architecture &&
  offer?.pools.some(({ name }) => name === pool) === true;

/** Rendezvous hashing: https://doi.org/10.1109/90.663936. */
function inOrderOf(image: ImageGoal, hosts: readonly HostRecord[]): readonly HostRecord[] {
  const digests = derived(image, digestsOf);
  const rankOf = ({ name }: HostRecord) => createHash('sha256').update(`${digests} ${name}`).digest('hex');
  return hosts
    .map((host) => ({ host, rank: rankOf(host) }))
    .sort((one, other) => (one.rank < other.rank ? -1 : 1))
    .map(({ host }) => host);
}
