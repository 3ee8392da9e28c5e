import { z } from 'zod';
import { backupTask, restoreGoal } from './backups.ts';
import { diskFacts, outgoingMigration } from './migrations.ts';
import { backboneGoal, edgeGoal, namesGoal, routerGoal } from './network.ts';
import {
  cidrv4,
  cidrv6,
  count,
  digest,
  ipv4,
  ipv6,
  mac,
  name,
  port,
  timeMs,
  uuid,
  vmId,
} from './primitives.ts';
import { probe } from './probe.ts';

/** A blob the host fetches from the controller: an image layer, a kernel, an initrd or a package. */
export const blobRef = z.object({ digest, sizeBytes: count });
export type BlobRef = z.infer<typeof blobRef>;

/** Layers from base to top. The overlay's backing file is the last one. */
export const imageGoal = z.object({
  name: z.string(),
  version: z.string(),
  layers: z.array(blobRef.extend({ virtualSizeBytes: count })).min(1),
  architecture: z.enum(['x86_64', 'aarch64']),
  boot: z.discriminatedUnion('method', [
    z.object({
      method: z.literal('kernel'),
      kernel: blobRef,
      initrd: blobRef.optional(),
      commandLine: z.string().max(2048),
    }),
    z.object({ method: z.literal('disk'), firmware: z.enum(['bios', 'uefi']) }),
  ]),
  /** Device models: `virtio`, or what imported on-premises disks expect. */
  disk: z.enum(['virtio', 'sata']),
  nic: z.enum(['virtio', 'e1000e']),
  seed: z.enum(['nocloud', 'none']),
  sshUser: z.string().regex(/^[a-z_][a-z0-9_-]{0,31}$/),
  webServer: z.enum(['nginx', 'busybox-httpd', 'none']),
});
export type ImageGoal = z.infer<typeof imageGoal>;

/** Everything that a host must have of an image, and as what it keeps it. */
export function blobsOf({ layers, boot }: ImageGoal): readonly (BlobRef & { kind: 'layer' | 'file' })[] {
  const files = boot.method === 'kernel' ? [boot.kernel, ...(boot.initrd ? [boot.initrd] : [])] : [];
  const as = (kind: 'layer' | 'file') => (blob: BlobRef) => ({
    digest: blob.digest,
    sizeBytes: blob.sizeBytes,
    kind,
  });
  return [...layers.map(as('layer')), ...files.map(as('file'))];
}

export const endpoint = z.object({
  name,
  type: z.enum(['input', 'internal']),
  protocol: z.enum(['tcp', 'http']),
  port,
  targetPort: port,
  probe: probe.optional(),
  /** Its server wants the PROXY protocol's header first, of whoever connects. Absent: no, or an older controller. */
  proxyProtocol: z.boolean().optional(),
  /** Roles of the same application that may connect; internal endpoints only. */
  from: z.array(name),
});
export type Endpoint = z.infer<typeof endpoint>;

export const startupTask = z.object({
  name: z.string().max(128),
  /** A command line for the guest's /bin/sh: it runs inside the guest and nowhere else. Working directory: the package folder of the role. */
  run: z.string().max(16_384),
  kind: z.enum(['simple', 'foreground', 'background']),
  timeoutMs: z.number().int().positive(),
  retries: count,
  env: z.record(z.string(), z.string()),
});
export type StartupTask = z.infer<typeof startupTask>;

/** What runs inside the guest once it is up. */
export const workload = z.object({
  startup: z.array(startupTask),
  /** The role's package: a tar.gz blob with a folder per role; `folder` is the one delivered. `null`: nothing to deliver. */
  package: blobRef.extend({ folder: z.string().nullable() }).nullable(),
  /** Supervised command line for the guest's /bin/sh. */
  start: z.string().max(16_384).nullable(),
  env: z.record(z.string(), z.string()),
  site: z
    .object({
      root: z.string().optional(),
      proxyPort: port.optional(),
      port,
      /** As of the endpoint at that port. */
      proxyProtocol: z.boolean().optional(),
    })
    .nullable(),
  endpoints: z.array(endpoint),
});
export type Workload = z.infer<typeof workload>;

export const sizeGoal = z.object({
  cpus: z.number().int().min(1),
  memoryMiB: z.number().int().min(32),
  diskMiB: z.number().int().min(1),
  /** Share of one CPU's time allowed per vCPU, percent of a core; absent: no cap. */
  cpuQuotaPercent: z.number().int().min(1).optional(),
});

/** `address6` is absent where the controller is older than it. */
export const nicGoal = z.object({ networkId: z.string(), mac, address: ipv4, address6: ipv6.optional() });

/** Everything one host must know of one VM. A reboot is a higher `rebootGeneration`; a reimage or a new definition is a higher incarnation. */
export const vmGoal = z.object({
  id: vmId,
  app: name,
  role: name.nullable(),
  index: count.nullable(),
  kind: z.enum(['worker', 'web', 'vm', 'machine']),
  incarnation: z.number().int().min(1),
  power: z.enum(['running', 'stopped']),
  rebootGeneration: count,
  image: imageGoal,
  size: sizeGoal,
  pool: z.string(),
  /** A machine's: the last incarnation known to have had its disk, which must be there; 0: it has none yet. */
  diskIncarnation: count.default(0),
  /** A machine's: the highest incarnation that was ever on its way to another host; 0: none was. Absent: an older controller does not say. */
  knownToLeave: count.optional(),
  /** A machine's: what its disk is to be made from, instead of the image alone. Absent: the disk is as it is. */
  restore: restoreGoal.optional(),
  nic: nicGoal,
  workload,
  /** Written to /etc/weft/instance.json: addresses of peers by endpoint, `role/endpoint` → `address:port` list. */
  peers: z.record(z.string(), z.array(z.string())),
});
export type VmGoal = z.infer<typeof vmGoal>;

/** One subnet present on this host: a libvirt network on a bridge of ours. */
export const networkGoal = z.object({
  id: z.string(),
  /** Small fleet-wide number, the bridge's name is made from it. */
  number: z.number().int().min(1).max(65_535),
  cidr: cidrv4,
  gateway: ipv4,
  /** Exactly the VMs of this host on this network. */
  leases: z.array(z.object({ vmId, mac, address: ipv4, address6: ipv6.optional(), hostname: z.string() })),
  /** Absent, as the following: the controller is older than these. */
  cidr6: cidrv6.optional(),
  gateway6: ipv6.optional(),
  /** Its guests reach nothing of the world: its resolver knows names of the fleet, and asks nobody for others. Absent: it asks the host's. */
  namesOnly: z.literal(true).optional(),
  /** Its guests reach each other: those of other hosts by this VXLAN. Absent: they do not. */
  mesh: z
    .object({
      vni: z.number().int().min(1).max(16_777_215),
      /** All of its guests on other hosts. */
      peers: z.array(z.object({ mac, address: ipv4, address6: ipv6, host: name })),
    })
    .optional(),
});
export type NetworkGoal = z.infer<typeof networkGoal>;

/** The whole truth for one host at one revision. What it does not name and is ours is reaped; machines' disks only go by tombstone. */
export const goal = z.object({
  type: z.literal('goal'),
  fleet: uuid,
  /** Grows when a store is restored or replaced; an agent refuses a lower one. */
  epoch: z.number().int().min(1),
  revision: count,
  atMs: timeMs,
  vms: z.array(vmGoal),
  networks: z.array(networkGoal),
  /** What joins this host's router to the others. Absent: the controller is older than this, or does not know where this host is on the underlay. */
  backbone: backboneGoal.optional(),
  router: routerGoal.optional(),
  /** Absent: this host serves nothing to the world. */
  edge: edgeGoal.optional(),
  /** Absent: this host serves no names. */
  names: namesGoal.optional(),
  /** Blobs to have ready even before a VM needs them: those of machines that this host may have to take over. */
  prefetch: z.array(blobRef.extend({ kind: z.enum(['layer', 'file']).default('layer') })),
  /** VMs that a user deleted or scaled in: gone at once, without quarantine. The only thing that removes a machine's disk. */
  tombstones: z.array(z.object({ id: vmId, upToIncarnation: z.number().int().min(1) })),
  /** VMs that were given up on this host while it was away, and live elsewhere by now: what of them runs here goes at once, machines' disks stay. */
  superseded: z.array(z.object({ id: vmId, upToIncarnation: z.number().int().min(1) })).default([]),
  /** Boot id of a boot that is to end: a host that runs it, and has no VMs, is booted anew. Absent: none. */
  reboot: z.string().max(64).optional(),
  /** What this host is to do with backups. */
  backups: z.array(backupTask).optional(),
  /** Machines that come here while they run: made ready for, and started by nobody here. `disk`: of one whose disk is copied along. */
  incoming: z
    .array(
      z.object({
        vm: vmGoal,
        from: z.string(),
        /** The certificate of the host that it comes from is valid from then or later. Absent: the controller carries what comes. */
        certifiedFromMs: timeMs.optional(),
        disk: diskFacts.optional(),
        /** It stands still here, although its disk is not copied, until the goal says that it is this host's own. */
        standsStill: z.boolean().optional(),
      }),
    )
    .optional(),
  /** Machines of `vms` that leave while they run. */
  outgoing: z.array(outgoingMigration).optional(),
  /** Pool → other hosts of which it is not known yet whether this one finds them there: it looks often. Absent: none. */
  unfound: z.record(z.string(), z.array(z.string())).optional(),
  /** Machines of `vms` whose disk is to go along to another host: what it is like is to be told. `incarnation`: that of the copy. */
  measured: z.array(z.object({ id: vmId, incarnation: z.number().int().min(1) })).optional(),
  /** Machines that work on another host, with a copy of the disk that they had here: what is here of them goes, and the disk. */
  copiedAway: z.array(z.object({ id: vmId, upToIncarnation: z.number().int().min(1) })).optional(),
});
export type Goal = z.infer<typeof goal>;

/** Of whom a goal speaks as of one that is on its host, or that comes there while it runs. */
export const hereOrComing = ({ vms, incoming = [] }: Goal): readonly VmGoal[] => [
  ...vms,
  ...incoming.map(({ vm }) => vm),
];
