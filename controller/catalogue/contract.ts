import type { ImageRecord } from '../model/records.ts';

export interface ImageListing {
  readonly image: ImageRecord;
  /** Channels that point at this version now. */
  readonly channels: readonly string[];
}

export interface ImportRequest {
  readonly name: string;
  readonly version: string;
  readonly channel?: string | undefined;
  /** Digest of the uploaded disk, as `PUT /v1/uploads` answered it. */
  readonly disk: string;
  readonly kernel?: string | undefined;
  readonly initrd?: string | undefined;
  readonly commandLine?: string | undefined;
  readonly firmware?: 'bios' | 'uefi' | undefined;
  readonly devices?: 'virtio' | 'sata' | undefined;
  readonly seed: 'nocloud' | 'none';
  readonly sshUser?: string | undefined;
  /** Private key that the image already accepts; needed with `seed: none`. Never logged, kept in a 0600 file. */
  readonly sshPrivateKey?: string | undefined;
  readonly webServer?: 'nginx' | 'busybox-httpd' | 'none' | undefined;
  readonly architecture?: 'x86_64' | 'aarch64' | undefined;
}

export interface BuildRequest {
  readonly recipe: string;
  readonly name?: string | undefined;
  readonly version?: string | undefined;
  readonly channel?: string | undefined;
}

/** Work that outlives the request that asked for it. Kept in memory: after a restart of the controller a job is gone, and what it made half was never visible. */
export interface JobView {
  readonly id: string;
  readonly kind: 'image-import' | 'image-build';
  readonly state: 'running' | 'done' | 'failed';
  readonly startedAtMs: number;
  /** The last 1,000 lines of progress. */
  readonly lines: readonly string[];
  readonly result: { readonly name: string; readonly version: string } | null;
  readonly error: { readonly code: string; readonly message: string; readonly remedy?: string } | null;
}

export interface Jobs {
  get(id: string): JobView | null;
  /** Calls with every line so far, then each new one; `onEnd` once. @returns stop. */
  follow(id: string, onLine: (line: string) => void, onEnd: (job: JobView) => void): () => void;
}

export interface Catalogue {
  readonly jobs: Jobs;
  list(): Promise<readonly ImageListing[]>;
  get(name: string, version: string): Promise<ImageListing>;
  /**
   * `name:version`, `name:channel` or `name@sha256:…` (digest of the top layer) → the version it means now.
   * @throws WeftError `not-found` with the names that exist.
   */
  resolve(reference: string): Promise<ImageRecord>;
  /** Starts an import of uploaded blobs. @returns the job's id; a refusal of the image is the job's error. */
  import(request: ImportRequest): string;
  /** @returns the job's id. @throws WeftError `not-found` for an unknown recipe. */
  build(request: BuildRequest): string;
  /** @throws WeftError `conflict` while an application uses it. */
  remove(name: string, version: string): Promise<void>;
}
