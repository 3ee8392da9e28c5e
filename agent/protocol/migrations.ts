import { z } from 'zod';
import { count, port, timeMs, vmId } from './primitives.ts';

/** Where what belongs to a machine lies on the host that it goes to. */
export const migrationFiles = z.object({
  /** A file, or `rbd:POOL/IMAGE`. */
  disk: z
    .string()
    .regex(/^(\/|rbd:)/)
    .max(4096),
  seed: z.string().startsWith('/').max(4096).nullable(),
  console: z.string().startsWith('/').max(4096),
  /** Of a disk in Ceph: how that host gets at it. Absent: it is a file. */
  ceph: z.object({ conf: z.string().startsWith('/').max(4096), user: z.string().max(64) }).optional(),
});
export type MigrationFiles = z.infer<typeof migrationFiles>;

/** Where a host's agent lets in what comes from the agent of another host, without the controller in between. */
export const migrationDoor = z.object({ address: z.union([z.ipv4(), z.ipv6()]), port });
export type MigrationDoor = z.infer<typeof migrationDoor>;

/** How the memory of a machine came: from agent to agent, or through the controller. */
export const migrationWay = z.enum(['direct', 'relayed']);
export type MigrationWay = z.infer<typeof migrationWay>;
/** What the disk of a machine is like that goes along to another host. */
export const diskFacts = z.object({
  virtualSizeBytes: count,
  /** What it takes on the host that it is on. */
  dataBytes: count,
  /** The request by which it was made from a backup: it is a whole disk then. Null: it lies on its image. */
  restored: z.string().max(64).nullable(),
});
export type DiskFacts = z.infer<typeof diskFacts>;

/** A machine of this host that goes to another one while it runs. Until the goal says otherwise, it is started by nobody here. */
export const outgoingMigration = z.object({
  id: vmId,
  /** Which incarnation it is there. */
  incarnation: z.number().int().min(1),
  to: z.string(),
  /** `move`: it is to be handed over. `stop`: what is under way is to be given up, and nothing new is begun. */
  order: z.enum(['move', 'stop']),
  /** Nothing of it is, or will be, on the other host: a guest that stands still since then runs on here. */
  resume: z.boolean(),
  files: migrationFiles,
  /**
   * Where the other host lets this one in. It is that host when its certificate names it, and is valid from `certifiedFromMs` or later.
   * Absent: nowhere; the controller carries it.
   */
  direct: migrationDoor.extend({ certifiedFromMs: timeMs }).optional(),
  /** Its disk is copied along. Absent: both hosts have it. */
  copiesDisk: z.boolean().optional(),
  /** It is to stand still there until that host's goal says that it is its own: no lock keeps two from its disk. Absent: libvirt lets it run on. */
  standsStill: z.boolean().optional(),
});
export type OutgoingMigration = z.infer<typeof outgoingMigration>;

/** What libvirt has of a guest. `absent`: nothing that runs, or could be let run on. */
export const guestSeen = z.enum(['absent', 'paused', 'running']);
export type GuestSeen = z.infer<typeof guestSeen>;

const common = {
  id: vmId,
  /** As in the goal: that of the copy on the host that it goes to. */
  incarnation: z.number().int().min(1),
  guest: guestSeen,
  message: z.string().max(1024).optional(),
};

export const migrationReport = z.discriminatedUnion('role', [
  z.object({
    ...common,
    role: z.literal('in'),
    /** `ready`: it may come. `refused`: it cannot come here, as `message` says. */
    state: z.enum(['preparing', 'ready', 'refused']),
    files: migrationFiles.optional(),
    /** It may have run here, and is down: the hypervisor has its description, which it keeps only of what it was about to let run. */
    ran: z.boolean().optional(),
    /** Absent: it comes through the controller. */
    direct: migrationDoor.optional(),
    /** Once its memory comes. */
    way: migrationWay.optional(),
    /**
     * Of one that is to stand still: all of it is here, a disk that came along safe from a loss of power, and waits until this host's goal
     * says that it is its own.
     */
    landed: z.boolean().optional(),
    /** Once it runs here: how long it stood still, and how long all of it took, by the hypervisor's own count. */
    downtimeMs: count.optional(),
    totalMs: count.optional(),
  }),
  z.object({
    ...common,
    role: z.literal('out'),
    /** The order under which this was seen. */
    order: z.enum(['move', 'stop']),
    resume: z.boolean(),
    /** `working`: a migration is under way, or is being begun or ended. `failed`: it was tried, and is not tried again. */
    state: z.enum(['idle', 'working', 'failed']),
    /** The hypervisor has nothing of it any more: it was handed over to the last byte. */
    gone: z.boolean().optional(),
    /** How much was sent of its disk, where that is copied along, else of its memory. */
    percent: z.number().int().min(0).max(100).optional(),
  }),
  z.object({
    role: z.literal('disk'),
    id: vmId,
    incarnation: common.incarnation,
    /** Absent: it cannot be said, as `message` says. */
    disk: diskFacts.optional(),
    message: common.message,
  }),
]);
export type MigrationReport = z.infer<typeof migrationReport>;

/** What a tunnel carries. `control`: libvirt to libvirt. `memory`: QEMU to QEMU. `disk`: the same, what is copied of a disk. */
export const MIGRATION_CHANNELS = ['control', 'memory', 'disk'] as const;
export const migrationChannel = z.enum(MIGRATION_CHANNELS);
export type MigrationChannel = z.infer<typeof migrationChannel>;

const PATH = /^\/agent\/v1\/migrations\/([^/]+\/[^/]+)\/([1-9][0-9]{0,14})\/([a-z]+)$/;

/** What one connection of a migration asks for, of the controller and of another host's agent alike. */
export const migrationPath = (id: string, incarnation: number, channel: MigrationChannel): string =>
  `/agent/v1/migrations/${id}/${incarnation}/${channel}`;

/** Null: it is no such path. */
export function parseMigrationPath(
  path: string,
): { readonly vmId: string; readonly incarnation: number; readonly channel: MigrationChannel } | null {
  const [, id, incarnation, channel] = PATH.exec(path) ?? [];
  const parsed = migrationChannel.safeParse(channel);
  if (id === undefined || !parsed.success) return null;
  return { vmId: id, incarnation: Number(incarnation), channel: parsed.data };
}

/** Capability of an agent that can hand machines over while they run. */
export const MIGRATES_LIVE = 'migrates-live';
/** Capability of an agent that can copy their disks along. */
export const COPIES_DISKS = 'copies-disks';
/** Capability of an agent that can hand over machines whose disks are in Ceph. */
export const MIGRATES_CEPH = 'migrates-ceph';

/** The `Upgrade` of connections that carry bytes as they are, both ways, once they have begun. */
export const BYTES_UPGRADE = 'weft-bytes';
/** What asks for one, in the head of a request. */
export const BYTES_HEADERS = { connection: 'Upgrade', upgrade: BYTES_UPGRADE } as const;
/** The answer that grants it; bytes follow. */
export const BYTES_BEGUN = `HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: ${BYTES_UPGRADE}\r\n\r\n`;
