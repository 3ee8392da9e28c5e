import {
  Connection,
  type Domain,
  DomainJobStatsFlag,
  DomainMigrateFlag,
  DomainXmlFlag,
  ErrorCode,
  isLibvirtError,
} from '@weft/node-libvirt';
import { WeftError } from '../../kit/errors.ts';
import type { RbdVolume } from '../driver.ts';
import type { MigrationDriver, MigrationJob, MigrationOrder } from '../migration-driver.ts';
import type { WithDomain } from './backups.ts';
import { describeThere } from './migration-xml.ts';
import { toWeftError } from './translate.ts';
import { parseXml } from './xml.ts';

const ASK = { timeoutMs: 15_000 };
const WORK = { timeoutMs: 90_000 };
/** Of `virDomainJobOperation` in libvirt-domain.h. */
const OPERATION = { MIGRATION_IN: 4, MIGRATION_OUT: 5 } as const;

/**
 * UNSAFE: libvirt goes by the type of the file system, and takes many that hosts share for a host's own. That both hosts have the
 * very same pool is known by its mark, and what is on one is written past the page cache.
 */
const FLAGS =
  DomainMigrateFlag.PEER2PEER |
  DomainMigrateFlag.PERSIST_DEST |
  DomainMigrateFlag.UNDEFINE_SOURCE |
  DomainMigrateFlag.ABORT_ON_ERROR |
  DomainMigrateFlag.UNSAFE;

/** Only the file on top goes along, the image is on both hosts. It stands still there until its new host may have it: no lock that both hosts see tells them apart. */
const COPY = DomainMigrateFlag.NON_SHARED_INC | DomainMigrateFlag.PAUSED;

const flagsOfDisk = ({ disk, standsStill }: Pick<MigrationOrder, 'disk' | 'standsStill'>): number =>
  disk !== null ? COPY : standsStill ? DomainMigrateFlag.PAUSED : 0;

/**
 * An emulated guest stands still for as long as its memory is sent. QEMU's emulator misses some of the pages that a guest changes
 * meanwhile: guests with much to write arrived with a broken memory, one time in three (QEMU 7.2). While its disk is copied it runs.
 */
const flagsFor = (domainXml: string): number =>
  parseXml(domainXml).child('domain')?.attribute('type') === 'qemu'
    ? FLAGS
    : FLAGS | DomainMigrateFlag.LIVE | DomainMigrateFlag.AUTO_CONVERGE;

/** libvirt's own migration, from daemon to daemon: https://libvirt.org/migration.html. */
export class LibvirtMigrations implements MigrationDriver {
  readonly #uri: string;
  readonly #with: WithDomain;
  readonly #capabilities: () => Promise<string>;
  readonly #keepKey: (volume: RbdVolume) => Promise<void>;

  constructor(
    uri: string,
    withDomain: WithDomain,
    {
      capabilities,
      keepKey,
    }: { capabilities: () => Promise<string>; keepKey: (volume: RbdVolume) => Promise<void> },
  ) {
    this.#uri = uri;
    this.#with = withDomain;
    this.#capabilities = capabilities;
    this.#keepKey = keepKey;
  }

  async guestOwner(): Promise<{ uid: number; gid: number } | null> {
    return readGuestOwner(await this.#capabilities());
  }

  async migrate(name: string, order: MigrationOrder): Promise<void> {
    // That it is ours is seen on the connection that everything else uses.
    await this.#with(`migrate ${name}`, name, async () => undefined);
    // A call that lasts as long as the migration takes a worker, and one of the daemon's calls of this client: not those of the others.
    const connection = await Connection.open(this.#uri, { events: [], workers: 1, timeoutMs: 15_000 });
    try {
      const domain = await connection.lookupDomainByName(name, ASK);
      const here = (flags: number) =>
        domain.getXML(flags | DomainXmlFlag.SECURE | DomainXmlFlag.MIGRATABLE, ASK);
      const there = (description: string) =>
        describeThere(description, { ...order, incarnation: order.mark.incarnation });
      const running = await here(0);
      await domain.migrateToURI(
        `qemu+unix:///system?socket=${order.control}`,
        flagsFor(running) | flagsOfDisk(order),
        {
          ...(order.disk === null
            ? {}
            : { disksUri: `unix://${order.disk}`, migrateDisks: [targetOf(running, order.from.disk)] }),
          migrationUri: `unix://${order.memory}`,
          destinationXml: there(running),
          persistentXml: there(await here(DomainXmlFlag.INACTIVE)),
          ...(order.bandwidthMiBps === null ? {} : { bandwidthMiBps: BigInt(order.bandwidthMiBps) }),
        },
        // However long it takes: who began it ends it, by `abort`.
      );
    } catch (error) {
      throw toWeftError(`migrate ${name}`, error);
    } finally {
      await connection.close({ timeoutMs: 2_000 }).catch(() => undefined);
    }
  }

  keepKey(volume: RbdVolume): Promise<void> {
    return this.#keepKey(volume);
  }

  job(name: string): Promise<MigrationJob> {
    return this.#with(`look at the migration of ${name}`, name, async (domain) => {
      if (!(await domain.isActive(ASK))) return NO_JOB;
      const { type, statistics } = await domain.getJobStatistics(0, ASK);
      if (type === 'none') return NO_JOB;
      const isMigration = Number(statistics.operation) === OPERATION.MIGRATION_OUT;
      return {
        kind: isMigration ? 'migration' : 'other',
        percent: percentOf(statistics),
        sendsMemory: isMigration && Number(statistics.memory_total ?? 0) > 0,
      };
    });
  }

  abort(name: string): Promise<void> {
    return this.#with(`stop the migration of ${name}`, name, async (domain) => {
      if (!(await isMigrating(domain))) return;
      await domain.abortJob(WORK).catch((error: unknown) => {
        // It has just ended.
        if (!isLibvirtError(error, ErrorCode.OPERATION_INVALID)) throw error;
      });
    });
  }

  arrival(name: string): Promise<{ downtimeMs: number; totalMs: number } | null> {
    return this.#with(`ask how ${name} came`, name, async (domain) => {
      const flags = DomainJobStatsFlag.COMPLETED | DomainJobStatsFlag.KEEP_COMPLETED;
      const { type, statistics } = await domain.getJobStatistics(flags, ASK);
      if (type !== 'completed' || Number(statistics.operation) !== OPERATION.MIGRATION_IN) return null;
      const { downtime, time_elapsed: total } = statistics;
      return downtime === undefined || total === undefined
        ? null
        : { downtimeMs: Number(downtime), totalMs: Number(total) };
    });
  }
}

const NO_JOB: MigrationJob = { kind: 'none', percent: null, sendsMemory: false };

/** As what the guest has the disk that lies in a file: `vda`. */
function targetOf(xml: string, file: string): string {
  const disks = parseXml(xml).child('domain')?.child('devices')?.children('disk') ?? [];
  const disk = disks.find((each) => each.child('source')?.attribute('file') === file);
  const target = disk?.child('target')?.attribute('dev');
  if (target) return target;
  throw new WeftError('internal', `no disk of the domain lies in ${file}`);
}

async function isMigrating(domain: Domain): Promise<boolean> {
  if (!(await domain.isActive(ASK))) return false;
  const { type, statistics } = await domain.getJobStatistics(0, ASK);
  return type !== 'none' && Number(statistics.operation) === OPERATION.MIGRATION_OUT;
}

function percentOf(statistics: Readonly<Record<string, unknown>>): number | null {
  // Of a disk that is copied along; its memory is sent at the end.
  const what = Number(statistics.disk_total ?? 0) > 0 ? 'disk' : 'data';
  const total = Number(statistics[`${what}_total`] ?? 0);
  const remaining = Number(statistics[`${what}_remaining`] ?? 0);
  return total > 0 ? Math.max(0, Math.min(100, Math.floor((100 * (total - remaining)) / total))) : null;
}

/** Of libvirt's DAC model: `+64055:+109`. Format: https://libvirt.org/formatcaps.html */
export function readGuestOwner(capabilities: string): { uid: number; gid: number } | null {
  const models = parseXml(capabilities).child('capabilities')?.child('host')?.children('secmodel') ?? [];
  const dac = models.find((model) => model.child('model')?.text === 'dac');
  const label = /^\+(\d+):\+(\d+)$/.exec(dac?.child('baselabel')?.text ?? '');
  return label ? { uid: Number(label[1]), gid: Number(label[2]) } : null;
}
