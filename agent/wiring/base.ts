import type { AgentConfiguration } from '../configuration.ts';
import type { FileBlobCache } from '../disks/file-blob-cache.ts';
import type { PooledDisks } from '../disks/pooled-disks.ts';
import type { AgentPaths } from '../executor/paths.ts';
import type { LibvirtDriver } from '../hypervisor/libvirt/libvirt-driver.ts';
import type { Clock } from '../kit/clock.ts';
import type { Logger } from '../kit/log.ts';

/** What most rooms of an agent are made with. */
export interface Base {
  readonly configuration: AgentConfiguration;
  readonly fleet: string;
  readonly driver: LibvirtDriver;
  readonly disks: PooledDisks;
  readonly cache: FileBlobCache;
  readonly paths: AgentPaths;
  readonly clock: Clock;
  readonly log: Logger;
}
