import type { Clock } from '../../agent/kit/clock.ts';
import type { Catalogue } from '../catalogue/contract.ts';
import type { Fencer } from '../fencing/contract.ts';
import type { Fleet } from '../fleet/contract.ts';
import type { PortRanges } from '../model/reserved-ports.ts';
import type { Store } from '../store/contract.ts';
import { Applications } from './applications.ts';
import { Backups } from './backups.ts';
import type { Operations } from './contract.ts';
import { Deaths } from './deaths.ts';
import { Hosts } from './hosts.ts';
import { Vms } from './vms.ts';

export type { Operations, PlanPreview, UploadedPackages } from './contract.ts';
export type { DrainProgress } from './drain-progress.ts';

export interface OperationsOptions {
  readonly store: Store;
  readonly catalogue: Catalogue;
  readonly fleet: Pick<Fleet, 'forget' | 'hosts'>;
  readonly fencer: Pick<Fencer, 'test'>;
  readonly clock: Clock;
  /** At edge hosts. Absent: none. */
  readonly reservedPorts?: PortRanges;
}

export function createOperations(options: OperationsOptions): Operations {
  const applications = new Applications(options);
  const vms = new Vms(options);
  const backups = new Backups(options);
  const hosts = new Hosts(options);
  const deaths = new Deaths(options);
  return {
    apply: (app, source, packages) => applications.apply(app, source, packages),
    plan: (app, source, packages) => applications.plan(app, source, packages),
    scale: async (app, role, instances) => applications.scale(app, role, instances),
    deleteApplication: (app) => applications.deleteApplication(app),
    deleteMachine: (id) => vms.deleteMachine(id),
    reboot: (id) => vms.reboot(id),
    reimage: (id) => vms.reimage(id),
    move: (id, to, given) => vms.move(id, to, given),
    abortMove: (id) => vms.abortMove(id),
    setDraining: (host, draining, given) => hosts.setDraining(host, draining, given),
    drainProgress: (host) => hosts.drainProgress(host),
    rebootHost: (host) => hosts.rebootHost(host),
    backup: (id, to) => backups.backup(id, to),
    restore: (backup, as) => backups.restore(backup, as),
    removeBackup: (backup) => backups.removeBackup(backup),
    confirmDead: (host, by) => deaths.confirmDead(host, by),
    fenceTest: (host) => deaths.fenceTest(host),
    removeHost: (host, given) => hosts.removeHost(host, given),
  };
}
