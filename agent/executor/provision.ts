import type { BlobCache, DiskSource, Disks, MadeDisk } from '../disks/contract.ts';
import type { SeedFiles } from '../guest/contract.ts';
import type { DomainSpec, HypervisorDriver } from '../hypervisor/driver.ts';
import { WeftError } from '../kit/errors.ts';
import { tapName } from '../network/names.ts';
import {
  blobsOf,
  type NetworkGoal,
  type RestoreGoal,
  type VmGoal,
  type VmSecrets,
} from '../protocol/index.ts';
import { diskKeyOf } from './disk-key.ts';
import { domainName, domainUuid, networkName, poolSecret } from './names.ts';
import type { AgentPaths } from './paths.ts';
import type { VmFolders } from './vm-folders.ts';
import type { VmState } from './vm-state.ts';

export interface ProvisionDependencies {
  readonly driver: HypervisorDriver;
  readonly disks: Disks;
  readonly cache: BlobCache;
  readonly paths: AgentPaths;
  readonly folders: VmFolders;
  /** Reads the backup that a machine's disk is to be made from. */
  readonly readBackup?: (restore: RestoreGoal, file: string, signal: AbortSignal) => Promise<void>;
  /** Waits for a boot slot. @param onWait told, with the guests that boot now, when none is free. @returns what gives it back. */
  readonly takeSlot: (signal: AbortSignal, onWait: (booting: number) => void) => Promise<() => void>;
  readonly fetchSecrets: (vm: VmGoal, signal: AbortSignal) => Promise<VmSecrets>;
  /** Resolves when the subnet stands on this host. */
  readonly networkReady: (network: NetworkGoal) => Promise<void>;
  readonly composeSeed: (input: {
    vm: VmGoal;
    network: NetworkGoal;
    secrets: VmSecrets;
    fleet: string;
    mtu?: number | undefined;
  }) => SeedFiles;
  readonly writeSeedIso: (path: string, files: SeedFiles) => Promise<void>;
  /** Of guests' interfaces; undefined: as the bridge has it. */
  readonly mtu?: () => number | undefined;
  /** The last word before the domain starts. @throws when it must not. */
  readonly beforeStart?: (vm: VmGoal) => void;
}

const MIB = 2 ** 20;

/**
 * From goal to started domain. What can run at once does: the image's files, the keys and the subnet come side by side, then, in
 * its boot slot, the overlay and the seed. The VM's state holds the slot until its guest answers.
 * Every part is idempotent, so a crash anywhere is mended by doing it again.
 */
export async function provision(
  dependencies: ProvisionDependencies,
  fleet: string,
  vm: VmGoal,
  network: NetworkGoal,
  state: VmState,
  signal: AbortSignal,
  onChange: () => void,
): Promise<void> {
  const { cache, disks, driver, paths, folders } = dependencies;
  const { timer } = state;
  timer.begin('network');
  timer.begin('boot');
  state.phase = 'fetching';
  onChange();

  const subnet = dependencies.networkReady(network).then(() => timer.end('network'));
  const secrets = timer.part('boot', 'secrets', () => dependencies.fetchSecrets(vm, signal));
  const files = timer.part('boot', 'fetch', () => fetchImage(cache, vm, signal, state, onChange));
  const turn = files.then(() => takeSlot(dependencies, state, signal, onChange));
  const seed = Promise.all([secrets, turn, folders.prepare(vm.id)]).then(async ([keys]) => {
    if (vm.image.seed === 'none') return null;
    const content = dependencies.composeSeed({
      ...{ vm, network, secrets: keys, fleet },
      mtu: dependencies.mtu?.(),
    });
    const path = paths.seed(vm.id, vm.incarnation);
    await timer.part('boot', 'seed', () => dependencies.writeSeedIso(path, content));
    return path;
  });
  const overlay = Promise.all([files, turn]).then(([{ layers }]) =>
    makeOverlay(disks, vm, layers, state, sourceOf(dependencies, vm, signal)),
  );

  const [image, disk, seedIso] = await allOrFirstError([files, overlay, seed, subnet, secrets, turn]);
  state.overlay = disk.path;
  const below = disk.whole ? [] : [...image.layers].reverse();
  const mtu = dependencies.mtu?.();
  const spec: DomainSpec = {
    name: domainName(fleet, vm.id),
    uuid: domainUuid(fleet, vm.id),
    mark: {
      fleet,
      id: vm.id,
      incarnation: vm.incarnation,
      kind: vm.kind === 'machine' ? 'machine' : 'instance',
      rebootGeneration: vm.rebootGeneration,
    },
    size: {
      cpus: vm.size.cpus,
      memoryMiB: vm.size.memoryMiB,
      cpuQuotaPercent: vm.size.cpuQuotaPercent ?? null,
    },
    architecture: vm.image.architecture,
    ...diskOf(disk, below, fleet),
    diskModel: vm.image.disk,
    diskCache: cacheOf(vm, disks),
    seedIso,
    boot: bootOf(vm, image),
    nic: {
      model: vm.image.nic,
      mac: vm.nic.mac,
      network: networkName(fleet, network),
      tap: tapName(fleet, vm.nic.address),
      ...(mtu === undefined ? {} : { mtu }),
    },
    consoleLog: paths.consoleLog(vm.id),
  };
  signal.throwIfAborted();
  dependencies.beforeStart?.(vm);
  await timer.part('boot', 'start', () => driver.startDomain(spec));
  state.started();
}

async function takeSlot(
  dependencies: ProvisionDependencies,
  state: VmState,
  signal: AbortSignal,
  onChange: () => void,
): Promise<void> {
  const askedAtMs = state.timer.now();
  let waited = false;
  const slot = await dependencies.takeSlot(signal, (booting) => {
    waited = true;
    state.timer.detail('boot', `waiting for its turn: guests booting on this host: ${booting}`);
    onChange();
  });
  if (waited) state.timer.addPart('boot', 'turn', state.timer.now() - askedAtMs);
  state.holdSlot(slot);
  state.timer.detail('boot', null);
  state.phase = 'booting';
  onChange();
}

interface ImageFiles {
  /** Base first. */
  readonly layers: readonly string[];
  readonly kernel: string | null;
  readonly initrd: string | null;
}

async function fetchImage(
  cache: BlobCache,
  vm: VmGoal,
  signal: AbortSignal,
  state: VmState,
  onChange: () => void,
): Promise<ImageFiles> {
  const { layers, boot } = vm.image;
  const total = blobsOf(vm.image).reduce((sum, blob) => sum + blob.sizeBytes, 0);
  const received = new Map<string, number>();
  let told = 0;
  const onProgress = (digest: string) => (bytes: number) => {
    received.set(digest, bytes);
    const sum = [...received.values()].reduce((one, other) => one + other, 0);
    const percent = Math.floor((sum / total) * 20) * 5;
    if (percent <= told) return;
    told = percent;
    state.timer.detail('boot', `fetching ${vm.image.name}:${vm.image.version}, ${percent} %`);
    onChange();
  };
  const ensure = (blob: { digest: string; sizeBytes: number }, kind: 'layer' | 'file') =>
    cache.ensure(blob, kind, { signal, onProgress: onProgress(blob.digest) });
  const [layerFiles, kernel, initrd] = await Promise.all([
    Promise.all(layers.map((layer) => ensure(layer, 'layer'))),
    boot.method === 'kernel' ? ensure(boot.kernel, 'file') : null,
    boot.method === 'kernel' && boot.initrd ? ensure(boot.initrd, 'file') : null,
  ]);
  return { layers: layerFiles, kernel, initrd };
}

async function makeOverlay(
  disks: Disks,
  vm: VmGoal,
  layers: readonly string[],
  state: VmState,
  source: DiskSource | null,
): Promise<MadeDisk> {
  const top = layers.at(-1);
  if (top === undefined) throw new TypeError('an image has at least one layer');
  const imageBytes = Math.max(...vm.image.layers.map((layer) => layer.virtualSizeBytes));
  return state.timer.part('boot', 'overlay', () =>
    disks.ensureOverlay(
      diskKeyOf(vm),
      top,
      Math.max(imageBytes, vm.size.diskMiB * MIB),
      vm.diskIncarnation,
      source,
      layers.slice(0, -1).reverse(),
    ),
  );
}

/** A file and what lies below it; or an image in Ceph, below which nothing is for this host to name. */
function diskOf(
  { path, rbd }: MadeDisk,
  below: readonly string[],
  fleet: string,
): Pick<DomainSpec, 'chain' | 'rbd'> {
  if (rbd) {
    const { name, ...volume } = rbd;
    return { chain: [], rbd: { ...volume, secret: poolSecret(fleet, name) } };
  }
  return { chain: [path, ...below].map((each) => ({ path: each, format: 'qcow2' as const })) };
}

function sourceOf(
  { readBackup }: ProvisionDependencies,
  { restore, kind, id, diskIncarnation }: VmGoal,
  signal: AbortSignal,
): DiskSource | null {
  // Done, and known to be: a disk that is missing now was lost since, and is not put back behind anybody's back.
  if (!restore || diskIncarnation >= restore.since) return null;
  if (kind !== 'machine' || !readBackup)
    throw new WeftError('not-supported', `this host cannot restore ${id} from a backup`);
  return { request: restore.request, write: (file) => readBackup(restore, file, signal) };
}

/** An instance's overlay dies with its host, so its flushes protect nothing; what other hosts may open next is in nobody's page cache. */
function cacheOf(vm: VmGoal, disks: Disks): DomainSpec['diskCache'] {
  if (vm.kind !== 'machine') return 'unsafe';
  return disks.kindOf(vm.pool) === 'local' ? 'writeback' : 'none';
}

function bootOf(vm: VmGoal, files: ImageFiles): DomainSpec['boot'] {
  const { boot } = vm.image;
  if (boot.method === 'disk') return { method: 'disk', firmware: boot.firmware };
  if (files.kernel === null) throw new TypeError('a kernel boot has a kernel');
  return { method: 'kernel', kernel: files.kernel, initrd: files.initrd, commandLine: boot.commandLine };
}

/** Like Promise.all, but waits for all of them before it throws, so that nothing goes on behind the caller's back. */
async function allOrFirstError<T extends readonly Promise<unknown>[]>(
  work: readonly [...T],
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(work);
  return Promise.all(work) as Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }>;
}
