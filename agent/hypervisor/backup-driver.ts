export type BackupProgress =
  | { readonly state: 'running'; readonly percent: number }
  | { readonly state: 'completed' }
  | { readonly state: 'failed'; readonly reason: string }
  /** There is none, or none that is known of, and none has just ended. */
  | { readonly state: 'none' };

export type FreezeAnswer =
  | { readonly state: 'frozen' }
  /** It was asked, or may have been: it may still be frozen in a moment, and is to be thawed. */
  | { readonly state: 'uncertain'; readonly reason: string }
  /** It has no agent that listens. */
  | { readonly state: 'not-asked'; readonly reason: string };

/**
 * Copies of a running guest's disk, beside everything else that is done with its domain. Names are libvirt's names of domains; one
 * without our mark is refused.
 * @throws WeftError as in `HypervisorDriver`.
 */
export interface BackupDriver {
  /**
   * Begins to copy the disk that the guest writes, as it is at this moment, into a new file: one qcow2 that refers to no other.
   * The guest runs on. @throws WeftError `hypervisor-failed`, also while another job works on the domain; `conflict` when the
   * hypervisor has lost track of an earlier one, until the domain ends.
   */
  beginBackup(domain: string, file: string): Promise<void>;
  backupProgress(domain: string): Promise<BackupProgress>;
  /** Ends a backup that is being made, whoever began it. Does nothing when there is none that is known of. */
  abortBackup(domain: string): Promise<void>;
  /** Has the guest's agent flush and freeze its file systems. Never throws. */
  freeze(domain: string): Promise<FreezeAnswer>;
  /** Thaws them; no harm where none is frozen. */
  thaw(domain: string): Promise<void>;
}
