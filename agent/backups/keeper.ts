import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { domainName } from '../executor/names.ts';
import type { BackupDriver } from '../hypervisor/backup-driver.ts';
import type { HypervisorDriver } from '../hypervisor/driver.ts';
import type { Clock } from '../kit/clock.ts';
import { entriesOf } from '../kit/entries.ts';
import { type ErrorCode, WeftError } from '../kit/errors.ts';
import { ExclusiveRunner } from '../kit/exclusive-runner.ts';
import type { Logger } from '../kit/log.ts';
import type { BackupReport, BackupTask, Goal, MadeBackup, RestoreGoal } from '../protocol/index.ts';
import type { FrozenGuests } from './frozen-guests.ts';
import { halfMadeBy, makeBackup } from './make-backup.ts';
import type { BackupManifest } from './manifest.ts';
import { copyBackup, verifyBackup } from './read-backup.ts';
import type { BackupTargets } from './targets.ts';

/** Disks copied at once: more would only take each other's turns at the disk. */
const AT_ONCE = 2;
/** Waits between tries. What is not done then is told as failed. */
const TRY_AGAIN_AFTER_MS = [2_000, 8_000];
/** Another try would find the same. */
const FINAL: readonly ErrorCode[] = [
  'invalid-image',
  'digest-mismatch',
  'not-found',
  'not-supported',
  'forbidden',
];
const SWEEP_AGAIN_AFTER_MS = 5_000;
const REMOVE_AGAIN_AFTER_MS = 60_000;

export interface BackupKeeperOptions {
  readonly fleet: string;
  readonly host: string;
  readonly driver: Pick<HypervisorDriver, 'listDomains'> & { readonly backups: BackupDriver };
  readonly targets: BackupTargets;
  readonly guests: FrozenGuests;
  readonly clock: Clock;
  readonly log: Logger;
  /** What is reported has changed. */
  readonly onChange: () => void;
}

interface Job {
  readonly task: BackupTask;
  readonly abort: AbortController;
  report: BackupReport;
}

/**
 * Does what the newest goal says of backups, beside the queues of the VMs: a copy of minutes keeps nobody waiting. A task that the goal
 * leaves out is ended, and what was half done goes. What was done is told for as long as the goal names it.
 */
export class BackupKeeper {
  readonly #options: BackupKeeperOptions;
  readonly #jobs = new Map<string, Job>();
  /** One task of a machine at a time. */
  readonly #runner = new ExclusiveRunner(AT_ONCE);
  readonly #stop = new AbortController();
  #goal: Goal | null = null;
  #swept: Promise<void> | null = null;

  constructor(options: BackupKeeperOptions) {
    this.#options = options;
  }

  /** Clears away what an agent before this one left, whether or not a controller is there: its guests may be frozen. */
  start(): void {
    this.#swept ??= this.#sweep();
  }

  follow(goal: Goal): void {
    this.#goal = goal;
    this.start();
    const wanted = new Map((goal.backups ?? []).map((task) => [keyOf(task), task]));
    for (const [key, job] of this.#jobs) {
      if (wanted.has(key)) continue;
      this.#jobs.delete(key);
      job.abort.abort(new WeftError('conflict', 'it is wanted no more'));
    }
    for (const [key, task] of wanted) if (!this.#jobs.has(key)) this.#begin(key, task);
  }

  report(): readonly BackupReport[] {
    return [...this.#jobs.values()].map(({ report }) => report);
  }

  /** Copies a backup's disk into a new file, verified. @throws WeftError that says what is wrong with it. */
  async readBackup(restore: RestoreGoal, file: string, signal: AbortSignal): Promise<void> {
    const { targets, fleet } = this.#options;
    await copyBackup(await targets.folderOf(restore), { ...restore, fleet }, file, signal);
  }

  close(): void {
    this.#stop.abort();
    this.#options.guests.close();
    for (const { abort } of this.#jobs.values()) abort.abort();
  }

  #begin(key: string, task: BackupTask): void {
    const job: Job = { task, abort: new AbortController(), report: { ...labelOf(task), state: 'running' } };
    this.#jobs.set(key, job);
    const { signal } = job.abort;
    void this.#runner
      .run(task.vmId, async () => {
        await this.#swept;
        signal.throwIfAborted();
        return this.#try(job);
      })
      .then(
        (made) => this.#tell(job, { state: 'done', ...(made ? { made } : {}) }),
        (thrown: unknown) => {
          if (signal.aborted || this.#stop.signal.aborted) return;
          const error = WeftError.from(thrown);
          this.#options.log.warn({ err: error, task }, 'a backup task failed');
          this.#tell(job, { state: 'failed', failure: failureOf(error) });
          // What is to go goes some day: its target may only not be mounted now.
          if (task.task === 'remove')
            this.#options.clock.after(REMOVE_AGAIN_AFTER_MS, () => {
              if (this.#jobs.get(key) === job && !this.#stop.signal.aborted) this.#begin(key, task);
            });
        },
      );
  }

  async #try(job: Job): Promise<MadeBackup | null> {
    const { clock, log } = this.#options;
    const { signal } = job.abort;
    for (const waitMs of TRY_AGAIN_AFTER_MS) {
      try {
        return await this.#do(job);
      } catch (error) {
        signal.throwIfAborted();
        if (FINAL.includes(WeftError.from(error).code)) throw error;
        log.info({ err: error, task: job.task }, 'a backup task failed; trying again');
        await clock.sleep(waitMs, signal);
      }
    }
    return this.#do(job);
  }

  async #do(job: Job): Promise<MadeBackup | null> {
    const { task, abort } = job;
    const { targets, fleet } = this.#options;
    const folder = await targets.folderOf(task);
    if (task.task === 'make') return madeOf(await this.#make(job, task, folder));
    if (task.task === 'verify') await verifyBackup(folder, { ...task, fleet }, abort.signal);
    // Not whole without its manifest, which goes first: a crash in between leaves what is no backup.
    else {
      await rm(join(folder, 'manifest.json'), { force: true });
      await rm(folder, { recursive: true, force: true });
    }
    return null;
  }

  async #make(job: Job, { vmId, id }: BackupTask & { task: 'make' }, folder: string) {
    const { driver, guests, clock, fleet, host } = this.#options;
    const vm = this.#goal?.vms.find((each) => each.id === vmId);
    if (!vm) throw new WeftError('not-found', `${vmId} is not on this host`);
    const domain = domainName(fleet, vmId);
    const found = (await driver.listDomains()).find(({ name }) => name === domain);
    if (found?.mark?.incarnation !== vm.incarnation || found.state !== 'running')
      throw new WeftError('conflict', `${vmId} does not run, so its disk cannot be backed up live`, {
        remedy: `See: weft why ${vmId}`,
      });
    return makeBackup({
      driver: driver.backups,
      guests,
      clock,
      fleet,
      host,
      vm,
      domain,
      id,
      folder,
      signal: job.abort.signal,
      onPercent: (percent) => {
        if (percent !== job.report.percent) this.#tell(job, { state: 'running', percent });
      },
    });
  }

  #tell(job: Job, what: Pick<BackupReport, 'state' | 'percent' | 'made' | 'failure'>): void {
    job.report = { ...labelOf(job.task), ...what };
    this.#options.onChange();
  }

  /** Until it has worked once: jobs of an earlier agent are ended, guests that it froze are thawed, halves that it left go. */
  async #sweep(): Promise<void> {
    const { clock, log } = this.#options;
    while (!this.#stop.signal.aborted) {
      try {
        await this.#endWhatWasBegun();
        await this.#removeHalves();
        return;
      } catch (error) {
        log.warn({ err: error }, 'what was left of backups could not be cleared away; trying again');
        await clock.sleep(SWEEP_AGAIN_AFTER_MS, this.#stop.signal).catch(() => undefined);
      }
    }
  }

  async #endWhatWasBegun(): Promise<void> {
    const { driver, guests } = this.#options;
    const machines = (await driver.listDomains()).filter(({ mark }) => mark?.kind === 'machine');
    for (const { name, mark } of machines) if (mark) await guests.thaw(mark.id, name);
    for (const { name, state } of machines) if (state === 'running') await driver.backups.abortBackup(name);
  }

  async #removeHalves(): Promise<void> {
    const { targets, host } = this.#options;
    const isHalf = halfMadeBy(host);
    for (const root of await targets.roots())
      for (const app of await foldersOf(root))
        for (const machine of await foldersOf(join(root, app)))
          for (const name of await foldersOf(join(root, app, machine)))
            if (isHalf.test(name)) await rm(join(root, app, machine, name), { recursive: true, force: true });
  }
}

const foldersOf = async (folder: string) =>
  (await entriesOf(folder)).filter((entry) => entry.isDirectory()).map(({ name }) => name);

/** One that has to be done anew has another key. */
const keyOf = (task: BackupTask): string =>
  [task.task, task.vmId, task.id, 'request' in task ? task.request : ''].join(' ');

const labelOf = (task: BackupTask): Pick<BackupReport, 'task' | 'vmId' | 'id' | 'request'> => ({
  task: task.task,
  vmId: task.vmId,
  id: task.id,
  ...('request' in task ? { request: task.request } : {}),
});

const madeOf = ({ disk, consistency, at, note }: BackupManifest): MadeBackup => ({
  digest: disk.digest,
  sizeBytes: disk.sizeBytes,
  virtualSizeBytes: disk.virtualSizeBytes,
  consistency,
  atMs: Date.parse(at),
  ...(note === undefined ? {} : { note }),
});

const failureOf = ({ code, message, remedy }: WeftError): NonNullable<BackupReport['failure']> => ({
  code,
  message: message.slice(0, 4096),
  ...(remedy === undefined ? {} : { remedy: remedy.slice(0, 1024) }),
});
