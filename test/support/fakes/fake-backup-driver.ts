import { writeFile } from 'node:fs/promises';
import type { BackupDriver, BackupProgress, FreezeAnswer } from '../../../agent/hypervisor/backup-driver.ts';
import type { DomainView } from '../../../agent/hypervisor/driver.ts';
import { exec } from '../../../agent/kit/exec.ts';

/** One domain, whose backups are made at once or held up, and fail on command. Files are real. */
export class FakeBackupDriver implements BackupDriver {
  readonly backups: BackupDriver = this;
  readonly said: string[] = [];
  domains: DomainView[] = [];
  /** A backup that is begun is not finished before this is set. */
  holds = false;
  hasAgent = false;
  freezes = false;
  /** Of the next thaws. */
  readonly thawFailures: Error[] = [];
  /** Why the next backup cannot be begun. */
  refusal: Error | null = null;
  /** Of the next beginnings. */
  readonly failures: string[] = [];
  /** A job that somebody began, of which this process knows nothing. */
  running: string | null = null;
  #ended: BackupProgress = { state: 'none' };

  async listDomains(): Promise<readonly DomainView[]> {
    return this.domains;
  }

  async beginBackup(domain: string, file: string): Promise<void> {
    if (this.running !== null) throw new Error('another job works on the domain');
    const refused = this.refusal;
    this.refusal = null;
    if (refused !== null) throw refused;
    this.said.push(`begin ${domain}`);
    const failure = this.failures.shift();
    if (failure !== undefined) {
      await writeFile(file, 'half');
      this.#ended = { state: 'failed', reason: failure };
      return;
    }
    await exec('qemu-img', ['create', '-q', '-f', 'qcow2', file, '8M']);
    await exec('qemu-io', ['-c', 'write -P 0x5a 0 1M', file]);
    this.running = file;
    this.#ended = { state: 'none' };
  }

  async backupProgress(): Promise<BackupProgress> {
    if (this.running !== null && this.holds) return { state: 'running', percent: 40 };
    if (this.running !== null) this.#ended = { state: 'completed' };
    this.running = null;
    const ended = this.#ended;
    this.#ended = { state: 'none' };
    return ended;
  }

  async abortBackup(domain: string): Promise<void> {
    if (this.running === null) return;
    this.said.push(`abort ${domain}`);
    this.running = null;
  }

  async freeze(domain: string): Promise<FreezeAnswer> {
    this.said.push(`freeze ${domain}`);
    if (!this.hasAgent) return { state: 'not-asked', reason: 'the guest has no agent' };
    return this.freezes
      ? { state: 'frozen' }
      : { state: 'uncertain', reason: 'its agent did not answer in time' };
  }

  async thaw(domain: string): Promise<void> {
    this.said.push(`thaw ${domain}`);
    const failure = this.thawFailures.shift();
    if (failure !== undefined) throw failure;
  }
}
