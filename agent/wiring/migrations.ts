import type { DiskCopies } from '../disks/disk-copies.ts';
import { diskKeyOf } from '../executor/disk-key.ts';
import type { Executor } from '../executor/executor.ts';
import type { Landings } from '../executor/landings.ts';
import { type HostLease, withoutLease } from '../executor/options.ts';
import type { LocalVmFolders } from '../executor/vm-folders.ts';
import { composeSeed } from '../guest/seed.ts';
import { writeSeedIso } from '../guest/seed-iso.ts';
import { WeftError } from '../kit/errors.ts';
import { Arrivals } from '../migrations/arrivals.ts';
import { Departures } from '../migrations/departures.ts';
import type { ArrivalDoor } from '../migrations/direct/arrival-door.ts';
import type { MigrationDialler } from '../migrations/direct/dialler.ts';
import { MigrationKeeper } from '../migrations/keeper.ts';
import { libvirtSocket } from '../migrations/libvirt-socket.ts';
import { MigrationSockets } from '../migrations/sockets.ts';
import type { HostFacts } from '../protocol/index.ts';
import type { HttpsLink } from '../session/https-link.ts';
import type { Base } from './base.ts';

export interface MigrationParts {
  readonly accelerator: HostFacts['accelerator'];
  readonly copies: DiskCopies;
  readonly landings: Landings;
  readonly folders: LocalVmFolders;
  readonly executor: Executor;
  readonly lease: HostLease | undefined;
  readonly link: HttpsLink;
  readonly door: ArrivalDoor;
  readonly dialler: MigrationDialler;
  readonly onChange: () => void;
}

/** Machines that leave and come while they run. Sockets of hand-overs that an earlier agent had are gone when this is done. */
export async function createMigrations(base: Base, parts: MigrationParts): Promise<MigrationKeeper> {
  const sockets = new MigrationSockets();
  await sockets.sweep();
  const { driver, clock, log } = base;
  return new MigrationKeeper({
    driver,
    departures: (changed) => departures(base, parts, sockets, changed),
    arrivals: (changed) => arrivals(base, parts, sockets, changed),
    copies: parts.copies,
    clock,
    log,
    onChange: parts.onChange,
  });
}

function departures(
  { configuration, fleet, driver, disks, paths, clock, log }: Base,
  { accelerator, copies, dialler }: MigrationParts,
  sockets: MigrationSockets,
  onChange: () => void,
): Departures {
  return new Departures({
    fleet,
    driver,
    sockets,
    filesOf: (vm, domain) => {
      const key = diskKeyOf(vm);
      const image = disks.rbdOf(key);
      return {
        disk: domain.overlay ?? disks.path(key),
        seed: paths.seed(vm.id, vm.incarnation),
        console: paths.consoleLog(vm.id),
        ...(image ? { ceph: { conf: image.conf, user: image.user } } : {}),
      };
    },
    copies,
    dial: (order, channel) => dialler.dial(order, channel),
    limitMs: configuration.migration.limitMs,
    emulates: accelerator.kind !== 'kvm',
    bandwidthMiBps: configuration.migration.bandwidthMiBps ?? null,
    clock,
    log,
    onChange,
  });
}

function arrivals(
  { configuration, ...base }: Base,
  { copies, landings, folders, executor, lease, link, door }: MigrationParts,
  sockets: MigrationSockets,
  onChange: () => void,
): Arrivals {
  return new Arrivals({
    ...base,
    copies,
    landings,
    folders,
    sockets,
    door,
    libvirtSocket: () => libvirtSocket(configuration.libvirtUri),
    networkReady: (vm) => executor.readyNetwork(vm),
    fetchSecrets: (vm, signal) => link.fetchSecrets(vm.id, vm.incarnation, signal),
    composeSeed,
    writeSeedIso,
    requireLease: ({ id, pool }) => {
      if (!withoutLease(lease).has(pool)) return;
      throw new WeftError('host-unreachable', `this host holds no lease for pool ${pool} of ${id}`);
    },
    onChange,
  });
}
