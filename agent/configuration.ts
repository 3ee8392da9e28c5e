import { readFile } from 'node:fs/promises';
import { cpus, hostname, totalmem } from 'node:os';
import { parse } from 'yaml';
import { z } from 'zod';
import { DEFAULT_GUARD_FOLDER } from './guard/notes.ts';
import { WeftError } from './kit/errors.ts';
import { NAME_PATTERN } from './kit/names.ts';
import { parseListen } from './migrations/direct/listen-setting.ts';
import { parseListener } from './names/listen-setting.ts';
import { fenceDevice } from './protocol/index.ts';

const MIB = 2 ** 20;
/** Left to the host itself when the configuration does not say what it offers. */
const RESERVE = { memoryMiB: 1024, share: 0.1 };

/** Plain enough to stand in what Ceph's and QEMU's programs are told without anything that would have to be escaped. */
const cephName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/);
const cephFile = z.string().regex(/^\/[A-Za-z0-9_./-]{1,255}$/);

const filePool = { name: z.string().regex(NAME_PATTERN), path: z.string().startsWith('/') };
const rbdPool = z.strictObject({
  name: z.string().regex(NAME_PATTERN),
  kind: z.literal('rbd'),
  /** Ceph's name of the pool. */
  pool: cephName,
  conf: cephFile.default('/etc/ceph/ceph.conf'),
  /** Without `client.`. */
  user: cephName.default('weft'),
  keyring: cephFile.optional(),
});

/** `local` unless it says otherwise. */
const pool = z.preprocess(
  (value) =>
    typeof value === 'object' && value !== null && !('kind' in value) ? { kind: 'local', ...value } : value,
  z.discriminatedUnion('kind', [
    z.strictObject({ ...filePool, kind: z.literal('local') }),
    z.strictObject({ ...filePool, kind: z.literal('shared') }),
    rbdPool.transform((made) => ({
      ...made,
      keyring: made.keyring ?? `/etc/ceph/ceph.client.${made.user}.keyring`,
    })),
  ]),
);

const backupFolder = z.strictObject({
  name: z.string().regex(NAME_PATTERN),
  kind: z.enum(['local', 'shared']).default('local'),
  path: z.string().startsWith('/'),
});

function listenSetting(text: string, context: z.RefinementCtx) {
  const setting = parseListen(text);
  if (setting !== undefined) return setting;
  context.addIssue(
    'not off, a port or a range of ports, or those behind an address of this host that others reach: 192.0.2.7:7702-7709',
  );
  return z.NEVER;
}

/** `192.0.2.7`, `192.0.2.7:53`, `[2001:db8::7]:53`. */
function nameListener(text: string, context: z.RefinementCtx) {
  const listener = parseListener(text);
  if (listener !== null) return listener;
  context.addIssue('not an address of this host, with or without a port: 192.0.2.7, [2001:db8::7]:5353');
  return z.NEVER;
}

/** `/etc/weft/agent.yaml`. Every key is optional. */
const agentConfiguration = z.strictObject({
  name: z.string().regex(NAME_PATTERN).optional(),
  /** `site/room/rack/power`; spreading works level by level. */
  faultDomain: z.string().max(256).optional(),
  labels: z.record(z.string(), z.string()).default({}),
  capacity: z
    .strictObject({
      cpus: z.number().int().min(1).optional(),
      memoryMiB: z.number().int().min(64).optional(),
    })
    .default({}),
  cpuRatio: z.number().positive().max(64).default(4),
  pools: z
    .array(pool)
    .min(1)
    .default([{ name: 'local', kind: 'local', path: '/var/lib/weft/pools/local' }]),
  /** Folders for backups of machines; each pool is a place for them as well. */
  backups: z.array(backupFolder).max(16).default([]),
  stateFolder: z.string().startsWith('/').default('/var/lib/weft/agent'),
  /** By which other hosts reach this one, for guests' traffic; by default that by which it reaches its controller. */
  underlay: z.union([z.ipv4(), z.ipv6()]).optional(),
  /** By what guests' traffic between hosts is encrypted, where the controller asks for that; `off`: not on this host. */
  wireguard: z.enum(['kernel', 'userspace', 'off']).default('kernel'),
  connections: z
    .strictObject({
      /** That a guest may begin in a second; by default a 32nd of what the kernel's table holds. */
      perSecond: z.union([z.literal('off'), z.number().int().min(1).max(1_000_000)]).optional(),
    })
    .prefault({}),
  libvirtUri: z.string().default('qemu:///system'),
  /** How long an instance that the controller no longer names is kept before it is removed. */
  reapAfterMs: z.number().int().min(0).default(10_000),
  /** A guest that has not answered by SSH for so long has failed. */
  sshLimitMs: z.number().int().min(1_000).default(600_000),
  /** A guest whose probe fails for so long, after it had passed, is started again. */
  unreadyLimitMs: z.number().int().min(1_000).default(300_000),
  /** VMs worked on at once. */
  parallel: z.number().int().min(1).max(256).default(16),
  /** Devices that can cut this host's power, in the order in which the controller tries them. */
  fence: z.array(fenceDevice).max(8).default([]),
  /** Guests that boot at once; by default as the accelerator allows. */
  boots: z.number().int().min(1).max(256).optional(),
  guard: z
    .strictObject({
      /** A host whose lease runs out stops its machines on shared pools. */
      enabled: z.boolean().default(false),
      watchdog: z.union([z.literal('none'), z.string().startsWith('/')]).default('/dev/watchdog'),
      /** How long this host may be without a word of the controller before its machines on shared pools are stopped. */
      leaseMs: z.number().int().min(3_000).max(3_600_000).default(30_000),
      /** Where agent and guard find each other; in memory, so that it is empty after a boot. */
      folder: z.string().startsWith('/').default(DEFAULT_GUARD_FOLDER),
    })
    .prefault({}),
  migration: z
    .strictObject({
      /** A machine that leaves while it runs, and changes its memory faster than it can be sent, is slowed down, and stays after this long. */
      limitMs: z.number().int().min(1_000).default(300_000),
      /** At most so much of its memory is sent in a second; by default as fast as it goes. */
      bandwidthMiBps: z.number().int().min(1).max(1_000_000).optional(),
      /** Where machines come in straight from other hosts, while one is expected. */
      listen: z.coerce.string().default('7702-7709').transform(listenSetting),
    })
    .prefault({}),
  names: z
    .strictObject({
      /** Where the fleet's names are served beside the backbone, when this host serves them. */
      listen: z.array(z.string().transform(nameListener)).max(16).default([]),
    })
    .prefault({}),
  /** What boots this host anew when its operator asks for it through the controller: a program and its arguments. */
  reboot: z.array(z.string().max(1024)).min(1).max(32).default(['systemctl', 'reboot']),
  doctor: z
    .strictObject({
      /** Between two looks at what is on this host. */
      everyMs: z.number().int().min(500).default(60_000),
      /** How long something that is left over is seen before it is removed. */
      graceMs: z.number().int().min(0).default(600_000),
      /** The same for what nothing needs of the image cache; at once where space has run out. */
      cacheGraceMs: z.number().int().min(0).default(86_400_000),
      /** A pool with less, or with less than a tenth, is low. */
      lowSpaceMiB: z.number().int().min(0).default(2_048),
      /** A pool with less, or with less than 3 %, takes nothing new. */
      fullSpaceMiB: z.number().int().min(0).default(512),
    })
    .prefault({}),
});

export interface AgentConfiguration extends Omit<z.infer<typeof agentConfiguration>, 'capacity'> {
  readonly name: string;
  readonly faultDomain: string;
  readonly capacity: { readonly cpus: number; readonly memoryMiB: number };
}

/** @param file null, or a file that is not there: everything by default. @throws WeftError `usage` naming the key. */
export async function readConfiguration(file: string | null): Promise<AgentConfiguration> {
  const text = file === null ? '' : await readIfPresent(file);
  let document: unknown;
  try {
    document = parse(text) ?? {};
  } catch (error) {
    throw new WeftError('usage', `${file} is not YAML: ${error instanceof Error ? error.message : error}`);
  }
  const parsed = agentConfiguration.safeParse(document);
  if (!parsed.success) {
    const issues = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'file'}: ${issue.message}`);
    throw new WeftError('usage', `${file}: ${issues.join('; ')}`, {
      remedy: 'The keys are described in docs/agent-configuration.md.',
    });
  }
  const named = [...parsed.data.pools, ...parsed.data.backups].map((each) => each.name);
  const twice = named.find((each, index) => named.indexOf(each) !== index);
  if (twice !== undefined)
    throw new WeftError('usage', `${file}: two of pools and backups are called ${twice}`, {
      remedy: 'Give each a name of its own: a backup names where it goes by it.',
    });
  const { capacity, name, faultDomain, ...rest } = parsed.data;
  const hostName = name ?? hostname().split('.')[0]?.toLowerCase() ?? 'host';
  if (!NAME_PATTERN.test(hostName))
    throw new WeftError('usage', `this host's name ${hostName} is no DNS label`, {
      remedy: 'Set name in agent.yaml.',
    });
  return {
    ...rest,
    name: hostName,
    faultDomain: faultDomain ?? hostName,
    capacity: {
      cpus: capacity.cpus ?? cpus().length,
      memoryMiB: capacity.memoryMiB ?? defaultMemoryMiB(),
    },
  };
}

function defaultMemoryMiB(): number {
  const total = Math.floor(totalmem() / MIB);
  return Math.max(256, total - Math.max(RESERVE.memoryMiB, Math.floor(total * RESERVE.share)));
}

async function readIfPresent(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw new WeftError('usage', `cannot read ${file}: ${(error as Error).message}`);
  }
}
