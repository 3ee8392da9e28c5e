import { cpus } from 'node:os';
import type { BackupKeeper } from '../backups/keeper.ts';
import type { DiskCopies } from '../disks/disk-copies.ts';
import { bootsAtOnce } from '../executor/boot-slots.ts';
import { Executor } from '../executor/executor.ts';
import type { Landings } from '../executor/landings.ts';
import type { HostLease } from '../executor/options.ts';
import type { LocalVmFolders } from '../executor/vm-folders.ts';
import { composeSeed } from '../guest/seed.ts';
import { writeSeedIso } from '../guest/seed-iso.ts';
import { createGuestSupervisor } from '../guest/supervisor.ts';
import type { findAccelerator } from '../hypervisor/accelerator.ts';
import type { NftHostNetwork } from '../network/nft-host-network.ts';
import type { HttpsLink } from '../session/https-link.ts';
import type { Base } from './base.ts';

export interface ExecutorParts {
  readonly accelerator: Awaited<ReturnType<typeof findAccelerator>>;
  readonly copies: DiskCopies;
  readonly landings: Landings;
  readonly network: NftHostNetwork;
  readonly link: HttpsLink;
  readonly folders: LocalVmFolders;
  readonly backups: BackupKeeper;
  readonly lease: HostLease | undefined;
  readonly onChange: () => void;
}

/** Who carries out what the controller wants of this host's VMs. */
export function createExecutor(
  { configuration, clock, log, ...base }: Base,
  { accelerator, backups, lease, ...parts }: ExecutorParts,
): Executor {
  return new Executor({
    ...base,
    ...parts,
    guest: createGuestSupervisor({ clock, log, sshLimitMs: configuration.sshLimitMs }),
    seed: { composeSeed, writeSeedIso },
    readBackup: (restore, file, signal) => backups.readBackup(restore, file, signal),
    clock,
    log,
    reapAfterMs: configuration.reapAfterMs,
    parallel: configuration.parallel,
    unreadyLimitMs: configuration.unreadyLimitMs,
    boots: configuration.boots ?? bootsAtOnce(accelerator.kind, cpus().length),
    ...(lease ? { lease } : {}),
  });
}
