import { createWriteStream } from 'node:fs';
import { chmod, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type BackOff, backOffMs } from '../kit/back-off.ts';
import type { Clock } from '../kit/clock.ts';
import { WeftError } from '../kit/errors.ts';
import { ExclusiveRunner } from '../kit/exclusive-runner.ts';
import type { Logger } from '../kit/log.ts';
import { DIGEST_PATTERN } from '../kit/names.ts';
import { syncPath } from '../kit/sync-path.ts';
import type { BlobRef } from '../protocol/index.ts';
import { digestOf, isSealed, seal } from './blob-files.ts';
import type { BlobCache } from './contract.ts';

/** Where blobs come from: the controller, by HTTP Range. */
export interface BlobSource {
  openBlob(
    digest: string,
    fromByte: number,
    signal: AbortSignal,
  ): Promise<{ stream: NodeJS.ReadableStream; totalBytes: number }>;
}

interface Fetch {
  readonly result: Promise<string>;
  readonly abort: AbortController;
  readonly listeners: Set<(receivedBytes: number) => void>;
  waiters: number;
}

const RETRY: BackOff = { firstMs: 100, maximumMs: 5_000, factor: 2 };
const PARALLEL_FETCHES = 4;
/** A blob whose digest is wrong this often is wrong at its source. */
const WRONG_DIGESTS = 2;

/**
 * Blobs of this host, as files under one folder: `<hex>.qcow2` for layers, `<hex>` for the rest. A file under such a name
 * is whole and was verified; `<hex>.partial` is what has arrived so far and is resumed, also by the next start of the agent.
 */
export class FileBlobCache implements BlobCache {
  readonly #folder: string;
  readonly #source: BlobSource;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #fetches = new Map<string, Fetch>();
  readonly #runner = new ExclusiveRunner(PARALLEL_FETCHES);

  constructor(options: { folder: string; source: BlobSource; clock: Clock; log: Logger }) {
    this.#folder = options.folder;
    this.#source = options.source;
    this.#clock = options.clock;
    this.#log = options.log;
  }

  async ensure(
    blob: BlobRef,
    kind: 'layer' | 'file',
    options: { signal: AbortSignal; onProgress?: (receivedBytes: number) => void },
  ): Promise<string> {
    options.signal.throwIfAborted();
    const path = this.#path(blob.digest, kind);
    const running = this.#fetches.get(path) ?? this.#begin(blob, path);
    if (options.onProgress) running.listeners.add(options.onProgress);
    running.waiters++;
    try {
      return await untilAborted(running.result, options.signal);
    } finally {
      if (options.onProgress) running.listeners.delete(options.onProgress);
      running.waiters--;
      if (running.waiters === 0) this.#giveUp(path, running);
    }
  }

  async list(): Promise<readonly string[]> {
    const files = await readdir(this.#folder).catch(() => []);
    const digests = files.flatMap((file) => {
      const hex = /^([0-9a-f]{64})(\.qcow2)?$/.exec(file)?.[1];
      return hex === undefined ? [] : [`sha256:${hex}`];
    });
    return [...new Set(digests)].sort();
  }

  async prune(keep: ReadonlySet<string>): Promise<readonly string[]> {
    const gone: string[] = [];
    for (const file of await readdir(this.#folder).catch(() => [])) {
      const hex = /^([0-9a-f]{64})(\.|$)/.exec(file)?.[1];
      const digest = `sha256:${hex}`;
      if (hex === undefined || keep.has(digest) || this.#isBusy(hex)) continue;
      await rm(join(this.#folder, file), { force: true });
      if (/^[0-9a-f]{64}(\.qcow2)?$/.test(file)) gone.push(digest);
    }
    return gone;
  }

  #isBusy(hex: string): boolean {
    return [...this.#fetches.keys()].some((path) => path.includes(hex));
  }

  #path(digest: string, kind: 'layer' | 'file'): string {
    if (!DIGEST_PATTERN.test(digest)) throw new WeftError('bad-request', `${digest} is no digest`);
    return join(this.#folder, `${digest.slice('sha256:'.length)}${kind === 'layer' ? '.qcow2' : ''}`);
  }

  #begin(blob: BlobRef, path: string): Fetch {
    const abort = new AbortController();
    const listeners = new Set<(receivedBytes: number) => void>();
    const work = async () => {
      if (await this.#isHere(blob, path)) return path;
      return this.#runner.run(path, () =>
        this.#fetch(blob, path, abort.signal, (bytes) => {
          for (const listener of listeners) listener(bytes);
        }),
      );
    };
    const fetch: Fetch = { result: work(), abort, listeners, waiters: 0 };
    this.#fetches.set(path, fetch);
    fetch.result.catch(() => undefined).finally(() => this.#forget(path, fetch));
    return fetch;
  }

  /** Nobody waits any more: what has arrived is kept for the next one who asks. */
  #giveUp(path: string, fetch: Fetch): void {
    this.#forget(path, fetch);
    fetch.abort.abort(new WeftError('timeout', 'nobody waits for this blob any more'));
  }

  #forget(path: string, fetch: Fetch): void {
    if (this.#fetches.get(path) === fetch) this.#fetches.delete(path);
  }

  /** A file that changed since it was verified is read again, and goes if it is not what it should be. */
  async #isHere(blob: BlobRef, path: string): Promise<boolean> {
    if (await isSealed(path)) return true;
    const found = await stat(path).catch(() => null);
    if (!found) return false;
    if (found.size === blob.sizeBytes && (await digestOf(path)) === blob.digest) {
      await seal(path);
      return true;
    }
    this.#log.warn({ path }, 'a cached blob is not what it was; fetching it again');
    await rm(path, { force: true });
    return false;
  }

  async #fetch(
    blob: BlobRef,
    path: string,
    signal: AbortSignal,
    onProgress: (receivedBytes: number) => void,
  ): Promise<string> {
    await mkdir(this.#folder, { recursive: true });
    await chmod(this.#folder, 0o711);
    const partial = `${path}.partial`;
    let failures = 0;
    let wrongDigests = 0;
    for (;;) {
      signal.throwIfAborted();
      try {
        await this.#receive(blob, partial, signal, onProgress);
        if ((await digestOf(partial)) === blob.digest) break;
        await rm(partial, { force: true });
        if (++wrongDigests >= WRONG_DIGESTS)
          throw new WeftError('digest-mismatch', `what arrived as ${blob.digest} is something else`, {
            remedy: 'The copy on the controller is damaged: import the image again.',
          });
      } catch (error) {
        signal.throwIfAborted();
        const { code } = WeftError.from(error);
        if (code === 'digest-mismatch' || code === 'not-found' || code === 'too-large') throw error;
        const delayMs = backOffMs(RETRY, ++failures);
        this.#log.info({ blob: blob.digest, err: error, delayMs }, 'a fetch was interrupted; going on');
        await this.#clock.sleep(delayMs, signal);
      }
    }
    await syncPath(partial);
    await chmod(partial, 0o644);
    await rename(partial, path);
    await seal(path);
    return path;
  }

  /** Appends what is missing to the partial file. */
  async #receive(
    blob: BlobRef,
    partial: string,
    signal: AbortSignal,
    onProgress: (receivedBytes: number) => void,
  ): Promise<void> {
    let have = (await stat(partial).catch(() => null))?.size ?? 0;
    if (have > blob.sizeBytes) {
      await rm(partial, { force: true });
      have = 0;
    }
    if (have === blob.sizeBytes && have > 0) return;
    const { stream } = await this.#source.openBlob(blob.digest, have, signal);
    let received = have;
    const count = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        received += chunk.length;
        if (received > blob.sizeBytes)
          return done(
            new WeftError('too-large', `${blob.digest} is larger than the ${blob.sizeBytes} bytes announced`),
          );
        onProgress(received);
        done(null, chunk);
      },
    });
    await pipeline(stream, count, createWriteStream(partial, { flags: 'a' }), { signal });
    if (received < blob.sizeBytes)
      throw new WeftError(
        'host-unreachable',
        `${blob.digest} ended after ${received} of ${blob.sizeBytes} bytes`,
      );
  }
}

function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
