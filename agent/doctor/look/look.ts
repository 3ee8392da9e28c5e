import type { Disks, PoolConfiguration } from '../../disks/contract.ts';
import type { PoolWatch } from '../../disks/pool-watch.ts';
import type { RbdDisks } from '../../disks/rbd/rbd-disks.ts';
import type { HypervisorDriver } from '../../hypervisor/driver.ts';
import type { HostLinks } from '../../network/contract.ts';
import type { Goal, GuardState } from '../../protocol/index.ts';
import type { DoctorWorld } from '../world.ts';
import { lookAtBlobs } from './look-at-blobs.ts';
import { lookAtHeaders } from './look-at-headers.ts';
import { lookAtPools } from './look-at-pools.ts';
import { lookAtRestored } from './look-at-restored.ts';
import { lookAtSeeds } from './look-at-seeds.ts';

export interface LookOptions {
  readonly fleet: string;
  /** This host's name, as it is written beside disks. */
  readonly host: string;
  readonly pools: readonly PoolConfiguration[];
  readonly disks: Pick<Disks, 'list'>;
  /** Absent: this host has no pools in Ceph. */
  readonly ceph?: Pick<RbdDisks, 'leftovers'>;
  readonly watch: Pick<PoolWatch, 'latest' | 'look' | 'onSeen'>;
  readonly driver: Pick<HypervisorDriver, 'listDomains' | 'listNetworks'>;
  /** Folders of the blob cache, and of the VMs' seeds and logs. */
  readonly paths: { readonly blobs: string; readonly run: string };
  readonly links: Pick<HostLinks, 'bridges' | 'hasGuests' | 'tables'>;
  readonly goal: () => Goal | null;
  readonly busy: () => ReadonlySet<string>;
  /** Absent: this host has no guard. */
  readonly guard?: () => GuardState;
}

/**
 * Everything the doctor judges by. Domains are listed after the disks: what is made in between is found to be used.
 * @throws WeftError as the driver and programs do: half a look is none.
 */
export async function look(options: LookOptions): Promise<Omit<DoctorWorld, 'damaged'>> {
  const { fleet, pools, paths, driver, links } = options;
  const busyBefore = options.busy();
  const [disks, inPools, inRun, blobs, bridges, tables, hasGuests, leftovers] = await Promise.all([
    options.disks.list(),
    lookAtPools(pools, fleet),
    lookAtSeeds(paths.run),
    lookAtBlobs(paths.blobs),
    links.bridges(),
    links.tables(),
    links.hasGuests(fleet),
    options.ceph?.leftovers() ?? [],
  ]);
  const [domains, networks] = await Promise.all([driver.listDomains(), driver.listNetworks()]);
  const headers = await lookAtHeaders([
    ...disks.map(({ path }) => path),
    ...domains.flatMap(({ files }) => files),
  ]);
  return {
    fleet,
    host: options.host,
    goal: options.goal(),
    busy: new Set([...busyBefore, ...options.busy()]),
    domains,
    networks,
    disks,
    poolKinds: Object.fromEntries(pools.map(({ name, kind }) => [name, kind])),
    headers,
    restored: await lookAtRestored(disks, headers),
    halfMade: inPools.halfMade,
    loneOwners: inPools.loneOwners,
    emptyFolders: [...inPools.emptyFolders, ...inRun.emptyFolders],
    seeds: inRun.seeds,
    blobFolder: paths.blobs,
    blobs,
    bridges,
    tables,
    hasGuests,
    spaces: options.watch.latest.spaces,
    leftovers,
    ...(options.guard ? { guard: options.guard() } : {}),
  };
}
