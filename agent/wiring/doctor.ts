import type { PoolWatch } from '../disks/pool-watch.ts';
import { Doctor } from '../doctor/doctor.ts';
import type { Executor } from '../executor/executor.ts';
import type { LeaseKeeper } from '../guard/lease-keeper.ts';
import { KernelLinks } from '../network/host-links.ts';
import type { NftHostNetwork } from '../network/nft-host-network.ts';
import type { Base } from './base.ts';
import { filePoolsOf } from './pools.ts';

export interface DoctorParts {
  readonly watch: PoolWatch;
  readonly network: NftHostNetwork;
  readonly executor: Executor;
  readonly keeper: LeaseKeeper | null;
  readonly onChange: () => void;
}

/** Who looks for what is left over on this host, and out of order. */
export function createDoctor(
  { configuration, ...base }: Base,
  { executor, keeper, ...parts }: DoctorParts,
): Doctor {
  return new Doctor({
    ...base,
    ...parts,
    host: configuration.name,
    pools: filePoolsOf(configuration),
    ceph: base.disks.rbd,
    links: new KernelLinks(),
    goal: () => executor.goal,
    busy: () => executor.busyVms(),
    ...(keeper === null ? {} : { guard: () => keeper.state() }),
    settings: configuration.doctor,
    onLooked: () => executor.wake(),
  });
}
