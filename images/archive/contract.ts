import type { Readable } from 'node:stream';

export interface ArchiveLimits {
  readonly maximumEntries: number;
  /** Of the unpacked archive, in bytes. */
  readonly maximumBytes: number;
  /** Unpacked bytes per packed byte; looked at beyond 16 MiB unpacked. */
  readonly maximumRatio: number;
}

export const DEFAULT_ARCHIVE_LIMITS: ArchiveLimits = {
  maximumEntries: 100_000,
  maximumBytes: 4 * 1024 ** 3,
  maximumRatio: 500,
};

export interface PackageFacts {
  /** Top-level folders, sorted: one per role. */
  readonly folders: readonly string[];
  readonly entries: number;
  readonly unpackedBytes: number;
}

/** One entry, proven harmless: `path` is relative, without `.` and `..`, and no link leads out of the folder. */
export interface PackageEntry {
  readonly path: string;
  readonly type: 'file' | 'directory' | 'symlink' | 'hardlink';
  /** Permission bits only, 0o000 to 0o777: set-user-id and its like are dropped. */
  readonly mode: number;
  readonly sizeBytes: number;
  /** A symlink's target as it was written, a hard link's path relative to the folder; null for the rest. */
  readonly link: string | null;
  /** The content of a file; empty for the rest. Read it, or leave it, before taking the next entry. */
  readonly stream: Readable;
}
