import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { inspectImage } from '../../../images/formats/inspect.ts';
import { type Clock, systemClock } from '../../kit/clock.ts';
import { WeftError } from '../../kit/errors.ts';
import type {
  DiskKey,
  DiskSource,
  Disks,
  DiskView,
  MadeDisk,
  PoolView,
  RbdImage,
  RbdPoolConfiguration,
} from '../contract.ts';
import { composeOwner, isLater, type Owner, parseOwner } from '../owner.ts';
import { requireDisk, requireNotSuperseded } from '../require-disk.ts';
import { CephClient, isMissing } from './ceph-client.ts';
import {
  breakLocks,
  clone,
  ensureGolden,
  growTo,
  type ImageInfo,
  importWhole,
  infoOf,
  removeImage,
} from './images.ts';
import { type CephLeftover, RbdLeftovers } from './leftovers.ts';
import { RbdListing } from './listing.ts';
import { goldenImage, halfMadeDisk, machineImage, ownerObject, replacedDisk } from './names.ts';
import { RbdPoolWatch } from './pool-watch.ts';

export interface RbdDisksOptions {
  readonly pools: readonly RbdPoolConfiguration[];
  /** This host's name. */
  readonly host: string;
  /** Where a disk that comes from a backup is put together. */
  readonly scratch: string;
  /** Addresses by which this host's storage fence would shut it out of Ceph; null: it has none. */
  readonly fenced: readonly string[] | null;
  readonly clock?: Clock;
}

interface Pool {
  readonly client: CephClient;
  readonly watch: RbdPoolWatch;
  readonly listing: RbdListing;
  readonly leftovers: RbdLeftovers;
}

/** Machines' disks as images in Ceph: clones of a golden image that is in the same pool. */
export class RbdDisks implements Disks {
  readonly #pools: ReadonlyMap<string, Pool>;
  readonly #host: string;
  readonly #scratch: string;
  /** Golden images on their way into a pool. */
  readonly #imports = new Map<string, Promise<void>>();

  constructor({ pools, host, scratch, fenced, clock = systemClock }: RbdDisksOptions) {
    this.#host = host;
    this.#scratch = scratch;
    this.#pools = new Map(
      pools.map((pool) => {
        const client = new CephClient(pool);
        const watch = new RbdPoolWatch(client, clock, fenced);
        const listing = new RbdListing(client, host, clock, () => watch.view().id !== null);
        return [pool.name, { client, watch, listing, leftovers: new RbdLeftovers(client, clock) }];
      }),
    );
  }

  has(pool: string): boolean {
    return this.#pools.has(pool);
  }

  async preparePools(fleet: string): Promise<void> {
    await Promise.all([...this.#pools.values()].map(({ watch }) => watch.begin(fleet)));
  }

  /** Makes Ceph's pool the fleet's. For an operator, once. @returns its id. */
  initPool(name: string, fleet: string): Promise<string> {
    return this.#pool(name).watch.init(fleet);
  }

  kindOf(pool: string): PoolView['kind'] {
    return this.#pool(pool).client.pool.kind;
  }

  path({ pool, vmId }: DiskKey): string {
    return `rbd:${this.#pool(pool).client.spec(machineImage(vmId))}`;
  }

  async ensureOverlay(
    key: DiskKey,
    backingFile: string,
    virtualSizeBytes: number,
    lastIncarnation = 0,
    source: DiskSource | null = null,
    below: readonly string[] = [],
  ): Promise<MadeDisk> {
    const pool = this.#pool(key.pool);
    if (key.kind !== 'machine')
      throw new WeftError(
        'not-supported',
        `pool ${key.pool} is for machines: it has no overlays of instances`,
        {
          remedy: 'Name a pool of kind local or shared for the role.',
        },
      );
    await pool.watch.require();
    pool.watch.requireRoom();
    const { client } = pool;
    const image = machineImage(key.vmId);
    const golden = goldenImage([backingFile, ...below]);
    const [info, owner] = await Promise.all([infoOf(client, image), this.#owner(client, key.vmId)]);
    const due = source !== null && source.request !== owner?.restored;
    const made: MadeDisk = {
      path: this.path(key),
      created: info === null || due,
      rbd: this.rbdOf(key),
    };
    if (info && !due) requireParent(key.vmId, info, owner?.restored === undefined ? golden : null);
    const last = due ? 0 : lastIncarnation;
    requireDisk(key, made.path, { owner: info ? owner : null, present: info !== null, last, shared: true });
    // The last one is proven dead, or has stopped; it may still look alive to Ceph for a while.
    if (info && owner && owner.incarnation < key.incarnation) await breakLocks(client, image);
    await this.#own(client, key, owner?.restored);
    pool.listing.forget(key.vmId);
    if (info && !due) return made;
    const temporary = halfMadeDisk(this.#host, key.vmId);
    if (due) await this.#restore(client, source, key.vmId, temporary);
    else await this.#clone(client, golden, [backingFile, ...below], temporary);
    await growTo(client, temporary, virtualSizeBytes);
    await this.#putInPlace(client, key.vmId, temporary, image);
    // After the disk: a crash in between makes it once more, before any guest has seen it.
    if (due) await this.#own(client, key, source.request);
    pool.listing.forget(key.vmId);
    return made;
  }

  async requireMachineDisk(key: DiskKey, lastIncarnation: number): Promise<void> {
    const { client, watch } = this.#pool(key.pool);
    await watch.require();
    watch.requireRoom();
    const [info, owner] = await Promise.all([
      infoOf(client, machineImage(key.vmId)),
      this.#owner(client, key.vmId),
    ]);
    const last = Math.max(1, lastIncarnation);
    requireDisk(key, this.path(key), { owner, present: info !== null, last, shared: true });
  }

  rbdOf({ pool, vmId }: DiskKey): RbdImage {
    return { ...this.#pool(pool).client.pool, image: machineImage(vmId) };
  }

  async takeOver(key: DiskKey): Promise<string> {
    const { client, watch, listing } = this.#pool(key.pool);
    await watch.require();
    const owner = await this.#owner(client, key.vmId);
    requireNotSuperseded(key, this.path(key), owner);
    if (owner?.host !== this.#host || owner.incarnation !== key.incarnation)
      await this.#own(client, key, owner?.restored);
    listing.forget(key.vmId);
    return this.path(key);
  }

  async discard(key: DiskKey): Promise<void> {
    throw new WeftError('forbidden', `pool ${key.pool} has no overlays of instances, such as ${key.vmId}`);
  }

  async destroyMachineDisk(pool: string, vmId: string, upToIncarnation?: number): Promise<void> {
    const { client, watch, listing } = this.#pool(pool);
    await watch.require();
    if (isLater(await this.#owner(client, vmId), upToIncarnation)) return;
    for (const image of [halfMadeDisk(this.#host, vmId), replacedDisk(this.#host, vmId), machineImage(vmId)])
      await removeImage(client, image);
    await client.removeObject(ownerObject(vmId));
    listing.forget(vmId);
  }

  async list(also: ReadonlySet<string> = new Set()): Promise<readonly DiskView[]> {
    const found = await Promise.all(
      [...this.#pools].map(async ([pool, { client, listing }]) =>
        (await listing.machines(also)).map(
          (vmId): DiskView => ({
            pool,
            path: `rbd:${client.spec(machineImage(vmId))}`,
            vmId,
            kind: 'machine',
            incarnation: null,
          }),
        ),
      ),
    );
    return found.flat();
  }

  async pools(): Promise<readonly PoolView[]> {
    return [...this.#pools.values()].map(({ watch }) => watch.view());
  }

  /** In pools that answer; one that fails to is one in which nothing is found. */
  async leftovers(): Promise<readonly CephLeftover[]> {
    const usable = [...this.#pools.values()].filter(({ watch }) => watch.view().id !== null);
    return (await Promise.all(usable.map(({ leftovers }) => leftovers.look().catch(() => [])))).flat();
  }

  /** @returns false: something lies on it. */
  async removeLeftover(leftover: CephLeftover): Promise<boolean> {
    const { watch, leftovers } = this.#pool(leftover.pool);
    await watch.require();
    return leftovers.remove(leftover);
  }

  async #owner(client: CephClient, vmId: string): Promise<Owner | null> {
    const text = await client.readObject(ownerObject(vmId));
    return text === null ? null : parseOwner(text);
  }

  /** Before the disk is opened: whoever looks at the pool knows whose it is. */
  #own(client: CephClient, { vmId, incarnation }: DiskKey, restored: string | undefined): Promise<void> {
    return client.writeObject(ownerObject(vmId), composeOwner({ host: this.#host, incarnation, restored }));
  }

  async #clone(client: CephClient, golden: string, layers: readonly string[], image: string): Promise<void> {
    await this.#import(client, golden, layers);
    try {
      await clone(client, golden, image);
    } catch (error) {
      if (!isMissing(error)) throw error;
      // Another host, which does not know that it is needed here, has put it into the trash in this very moment.
      await this.#import(client, golden, layers);
      await clone(client, golden, image);
    }
  }

  /** One import of an image at a time, whoever asks. */
  async #import(client: CephClient, golden: string, layers: readonly string[]): Promise<void> {
    const key = client.spec(golden);
    const running =
      this.#imports.get(key) ??
      ensureGolden(client, this.#host, golden, layers).finally(() => this.#imports.delete(key));
    this.#imports.set(key, running);
    await running;
  }

  async #restore(client: CephClient, source: DiskSource, vmId: string, image: string): Promise<void> {
    const file = join(this.#scratch, `${machineImage(vmId)}.qcow2`);
    try {
      await mkdir(this.#scratch, { recursive: true });
      await rm(file, { force: true });
      await source.write(file);
      await inspectImage(file);
      await importWhole(client, file, image);
    } finally {
      await rm(file, { force: true });
    }
  }

  /** What was there goes when the new one is in its place: a crash leaves one of them whole, and its owner says that it is to be done again. */
  async #putInPlace(client: CephClient, vmId: string, temporary: string, image: string): Promise<void> {
    const before = replacedDisk(this.#host, vmId);
    await removeImage(client, before);
    if (await infoOf(client, image)) await client.rbd('rename', client.spec(image), client.spec(before));
    await client.rbd('rename', client.spec(temporary), client.spec(image));
    await removeImage(client, before);
  }

  #pool(name: string): Pool {
    const pool = this.#pools.get(name);
    if (pool) return pool;
    throw new WeftError('not-found', `this host has no pool ${name}`, {
      remedy: `It offers ${[...this.#pools.keys()].join(', ') || 'none'}; see pools in agent.yaml.`,
    });
  }
}

/** A clone of another image than its own would be another machine. */
function requireParent(vmId: string, { parent }: ImageInfo, wanted: string | null): void {
  const found = parent?.image ?? null;
  if (found === wanted) return;
  throw new WeftError(
    'conflict',
    `the disk of ${vmId} is a clone of ${found ?? 'nothing'}, not of ${wanted ?? 'nothing, as what was restored is'}`,
    {
      remedy:
        'Import the image version again that it was made from, and name that one in the model; the disk is kept.',
      details: { found, wanted },
    },
  );
}
