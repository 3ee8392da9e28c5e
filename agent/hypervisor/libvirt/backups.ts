import {
  type Domain,
  DomainJobStatsFlag,
  ErrorCode,
  isLibvirtError,
  type JobStatistics,
} from '@weft/node-libvirt';
import { WeftError } from '../../kit/errors.ts';
import type { BackupDriver, BackupProgress, FreezeAnswer } from '../backup-driver.ts';
import { composeXml, parseXml } from './xml.ts';

const ASK = { timeoutMs: 15_000 };
const WORK = { timeoutMs: 90_000 };
/** A guest writes out what it has in memory before it freezes. */
const FREEZE = { timeoutMs: 30_000 };
/** `VIR_DOMAIN_JOB_OPERATION_BACKUP` of libvirt-domain.h. */
const OPERATION_BACKUP = 9;

/** Does something with a domain that is ours. */
export type WithDomain = <T>(what: string, name: string, work: (domain: Domain) => Promise<T>) => Promise<T>;

/**
 * libvirt's own backup job, in push mode: https://libvirt.org/formatbackup.html. libvirt makes and labels the file, QEMU copies into it
 * what the disk holds at the beginning, its backing files included, and the job ends with the domain.
 */
export class LibvirtBackups implements BackupDriver {
  readonly #with: WithDomain;

  constructor(withDomain: WithDomain) {
    this.#with = withDomain;
  }

  beginBackup(name: string, file: string): Promise<void> {
    return this.#with(`back ${name} up`, name, async (domain) => {
      if ((await jobOf(domain)) === 'lost')
        throw new WeftError(
          'conflict',
          `libvirt was ended while it began a backup of ${name}, and lost track of it`,
          {
            remedy:
              'Have the machine power off in its guest when it suits: it starts again, and can be backed up.',
          },
        );
      await domain.backupBegin(composeBackupXml(await domain.getXML(0, ASK), file), null, WORK);
    });
  }

  backupProgress(name: string): Promise<BackupProgress> {
    return this.#with(`look at the backup of ${name}`, name, async (domain) => {
      const job = await jobOf(domain);
      if (job === 'lost') return { state: 'none' };
      if (job.type !== 'none') return { state: 'running', percent: percentOf(job.statistics) };
      const end = await domain.getJobStatistics(DomainJobStatsFlag.COMPLETED, ASK);
      if (end.type === 'none' || Number(end.statistics.operation) !== OPERATION_BACKUP)
        return { state: 'none' };
      if (end.type === 'completed') return { state: 'completed' };
      const reason = end.statistics.errmsg;
      return { state: 'failed', reason: typeof reason === 'string' ? reason : `it was ${end.type}` };
    });
  }

  abortBackup(name: string): Promise<void> {
    return this.#with(`stop the backup of ${name}`, name, async (domain) => {
      if (!(await domain.isActive(ASK))) return;
      const job = await jobOf(domain);
      if (job === 'lost' || job.type === 'none' || Number(job.statistics.operation) !== OPERATION_BACKUP)
        return;
      await domain.abortJob(WORK).catch((error: unknown) => {
        // It has just ended.
        if (!isLibvirtError(error, ErrorCode.OPERATION_INVALID)) throw error;
      });
    });
  }

  async freeze(name: string): Promise<FreezeAnswer> {
    try {
      return await this.#with(`freeze the file systems of ${name}`, name, async (domain) => {
        if (!hasGuestAgent(await domain.getXML(0, ASK)))
          return { state: 'not-asked', reason: 'no guest agent runs in it' };
        const frozen = await domain.fsFreeze(FREEZE);
        return frozen > 0
          ? { state: 'frozen' }
          : { state: 'uncertain', reason: 'the guest’s agent found no file system to freeze' };
      });
    } catch (error) {
      return { state: 'uncertain', reason: WeftError.from(error).message };
    }
  }

  thaw(name: string): Promise<void> {
    return this.#with(`thaw the file systems of ${name}`, name, async (domain) => {
      if (await domain.isActive(ASK)) await domain.fsThaw(FREEZE);
    });
  }
}

/**
 * What libvirt does with the domain. `lost`: libvirtd was ended after it had noted that a backup begins and before it had noted which
 * (seen with 9.0.0). It takes the domain for being backed up until the domain ends, and neither ends that job nor begins another.
 */
async function jobOf(domain: Domain): Promise<JobStatistics | 'lost'> {
  try {
    return await domain.getJobStatistics(0, ASK);
  } catch (error) {
    if (isLibvirtError(error, ErrorCode.INTERNAL_ERROR) && error.message.includes('backup job data missing'))
      return 'lost';
    throw error;
  }
}

/** The disk that the guest writes, and no other. */
export function composeBackupXml(domainXml: string, file: string): string {
  const disks = parseXml(domainXml).child('domain')?.child('devices')?.children('disk') ?? [];
  const named = disks.flatMap((disk) => {
    const name = disk.child('target')?.attribute('dev');
    if (name === undefined) return [];
    const isWritten = disk.attribute('device') === 'disk' && disk.child('readonly') === undefined;
    return [{ name, isWritten }];
  });
  if (named.filter(({ isWritten }) => isWritten).length !== 1)
    throw new WeftError('not-supported', 'a domain of ours has one disk that is written');
  return composeXml({
    domainbackup: {
      '@mode': 'push',
      disks: {
        disk: named.map(({ name, isWritten }) =>
          isWritten
            ? {
                '@name': name,
                '@backup': 'yes',
                '@type': 'file',
                driver: { '@type': 'qcow2' },
                target: { '@file': file },
              }
            : { '@name': name, '@backup': 'no' },
        ),
      },
    },
  });
}

/** Whether somebody listens at the other end of the agent's channel, as libvirt tells of a domain that runs. */
export function hasGuestAgent(domainXml: string): boolean {
  const channels = parseXml(domainXml).child('domain')?.child('devices')?.children('channel') ?? [];
  return channels.some((channel) => {
    const target = channel.child('target');
    return (
      target?.attribute('name') === 'org.qemu.guest_agent.0' && target.attribute('state') === 'connected'
    );
  });
}

function percentOf(statistics: Readonly<Record<string, unknown>>): number {
  const total = Number(statistics.disk_total ?? 0);
  const done = Number(statistics.disk_processed ?? 0);
  return total > 0 ? Math.min(100, Math.floor((100 * done) / total)) : 0;
}
