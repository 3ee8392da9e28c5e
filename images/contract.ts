import type { Readable } from 'node:stream';

/** `digest` is `sha256:` + hex of the bytes. */
export interface StoredBlob {
  readonly digest: string;
  readonly sizeBytes: number;
}

export interface PutOptions {
  readonly expected?: string;
  readonly maximumBytes?: number;
  /** Judges the whole file before it becomes a blob: one that is refused never touches a blob of the same content. */
  readonly accept?: (file: string) => Promise<void>;
}

/** Content-addressed files under one folder. A blob exists only whole and verified: written aside, synced, renamed. */
export interface BlobStore {
  /** Absolute path, whether or not it exists. @throws WeftError `bad-request` for what is no digest. */
  path(digest: string): string;
  stat(digest: string): Promise<StoredBlob | null>;
  /** Takes a stream in. @throws WeftError `digest-mismatch` when `expected` differs, `too-large` beyond `maximumBytes`, or what `accept` throws. Nothing stays behind. */
  put(source: Readable, options?: PutOptions): Promise<StoredBlob>;
  /** Takes over an existing file (moved when on the same file system, else copied). */
  adopt(file: string): Promise<StoredBlob>;
  open(digest: string, range?: { start: number; end?: number }): Readable;
  remove(digest: string): Promise<void>;
  /** Says that the blob is wanted now: as young as if it had just come in. Null: there is none. */
  touch(digest: string, nowMs: number): Promise<StoredBlob | null>;
  /** Removes a blob that came in, or was wanted, before this time last. @returns whether it did. */
  removeOlder(digest: string, beforeMs: number): Promise<boolean>;
  list(): Promise<readonly StoredBlob[]>;
}
