import type { DiskView } from '../disks/contract.ts';
import type { DomainView } from '../hypervisor/driver.ts';
import { type Goal, hereOrComing, type Report } from '../protocol/index.ts';

type Stranger = Report['strangers'][number];

/** Machines of the fleet on this host that the goal does not name: kept and reported, until a goal names or buries them. */
export class Strangers {
  #list: readonly Stranger[] = [];

  list(): readonly Stranger[] {
    return this.#list;
  }

  update(goal: Goal, domains: readonly DomainView[], disks: readonly DiskView[]): void {
    const named = new Set(hereOrComing(goal).map(({ id }) => id));
    const known = new Set(disks.map(({ vmId }) => vmId));
    // A pool in Ceph that does not answer lists no disks; what runs on it is here all the same.
    const unlisted = domains.flatMap(({ mark, overlay }) =>
      mark?.kind === 'machine' && overlay?.startsWith('rbd:') && !known.has(mark.id)
        ? [{ kind: mark.kind, vmId: mark.id, path: overlay }]
        : [],
    );
    // Half a copy is nobody's home: its old host has the disk.
    this.#list = [...disks.filter(({ copy }) => copy?.state !== 'half'), ...unlisted]
      .filter((disk) => disk.kind === 'machine' && !named.has(disk.vmId))
      .map((disk): Stranger => {
        const domain = domains.find((each) => each.mark?.id === disk.vmId);
        return {
          id: disk.vmId,
          incarnation: Math.max(1, domain?.mark?.incarnation ?? 1),
          running: domain?.state === 'running',
          disk: disk.path,
        };
      });
  }
}
