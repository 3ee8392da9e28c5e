import { randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { copyFile, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { WeftError } from '../agent/kit/errors.ts';
import { ExclusiveRunner } from '../agent/kit/exclusive-runner.ts';
import { DIGEST_PATTERN } from '../agent/kit/names.ts';
import { syncPath } from '../agent/kit/sync-path.ts';
import type { BlobStore, PutOptions, StoredBlob } from './contract.ts';
import { digestOfFile, StreamDigest } from './digest.ts';

/**
 * Blobs as files `<folder>/sha256/<hex>`, made aside in `<folder>/incoming` on the same file system. What lies in
 * `incoming` when a store is opened was left by a crash and goes: one process owns a folder.
 */
export class FileBlobStore implements BlobStore {
  readonly #blobs: string;
  readonly #incoming: string;
  /** A blob is never removed for its age in the moment in which it comes in again, or is wanted. */
  readonly #turns = new ExclusiveRunner();

  constructor(folder: string) {
    this.#blobs = join(folder, 'sha256');
    this.#incoming = join(folder, 'incoming');
    mkdirSync(this.#blobs, { recursive: true });
    mkdirSync(this.#incoming, { recursive: true });
    for (const entry of readdirSync(this.#incoming))
      rmSync(join(this.#incoming, entry), { recursive: true, force: true });
  }

  path(digest: string): string {
    if (!DIGEST_PATTERN.test(digest))
      throw new WeftError('bad-request', `${JSON.stringify(digest.slice(0, 100))} is no digest`, {
        remedy: 'Give sha256: and 64 hexadecimal digits.',
      });
    return join(this.#blobs, digest.slice('sha256:'.length));
  }

  async stat(digest: string): Promise<StoredBlob | null> {
    try {
      const { size } = await stat(this.path(digest));
      return { digest, sizeBytes: size };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
  }

  async put(source: Readable, options: PutOptions = {}): Promise<StoredBlob> {
    if (options.expected !== undefined) this.path(options.expected);
    const aside = this.#aside();
    const digest = new StreamDigest();
    try {
      await pipeline(
        source,
        limited(options.maximumBytes ?? Number.POSITIVE_INFINITY),
        digest,
        createWriteStream(aside, { flags: 'wx' }),
      );
      const found = digest.value();
      if (options.expected !== undefined && options.expected !== found)
        throw new WeftError('digest-mismatch', `expected ${options.expected}, received ${found}`, {
          remedy: 'Send it again; if it stays so, the source is damaged.',
        });
      await options.accept?.(aside);
      return await this.#commit(aside, found);
    } catch (error) {
      await rm(aside, { force: true });
      throw error;
    }
  }

  async adopt(file: string): Promise<StoredBlob> {
    const aside = this.#aside();
    try {
      await rename(file, aside).catch(async (error: NodeJS.ErrnoException) => {
        if (error.code !== 'EXDEV') throw error;
        await copyFile(file, aside);
        await rm(file);
      });
      return await this.#commit(aside, await digestOfFile(aside));
    } catch (error) {
      await rm(aside, { force: true });
      throw error;
    }
  }

  open(digest: string, range?: { start: number; end?: number }): Readable {
    return createReadStream(this.path(digest), range ?? {});
  }

  async remove(digest: string): Promise<void> {
    await rm(this.path(digest), { force: true });
  }

  touch(digest: string, nowMs: number): Promise<StoredBlob | null> {
    const path = this.path(digest);
    return this.#turns.run(digest, async () => {
      const found = await this.stat(digest);
      // The time of a file is in seconds.
      if (found !== null) await utimes(path, nowMs / 1000, nowMs / 1000);
      return found;
    });
  }

  removeOlder(digest: string, beforeMs: number): Promise<boolean> {
    const path = this.path(digest);
    return this.#turns.run(digest, async () => {
      const found = await stat(path).catch(() => null);
      if (found === null || found.mtimeMs >= beforeMs) return false;
      await rm(path, { force: true });
      return true;
    });
  }

  async list(): Promise<readonly StoredBlob[]> {
    const found: StoredBlob[] = [];
    for (const name of (await readdir(this.#blobs)).sort()) {
      const digest = `sha256:${name}`;
      const blob = DIGEST_PATTERN.test(digest) ? await this.stat(digest) : null;
      if (blob !== null) found.push(blob);
    }
    return found;
  }

  #aside(): string {
    return join(this.#incoming, randomBytes(12).toString('hex'));
  }

  /** Content first, then its name, then the folder: after a power cut a blob is whole or absent. */
  async #commit(aside: string, digest: string): Promise<StoredBlob> {
    const file = await open(aside, 'r');
    try {
      await file.chmod(0o644);
      await file.sync();
    } finally {
      await file.close();
    }
    const { size } = await stat(aside);
    await this.#turns.run(digest, () => rename(aside, this.path(digest)));
    await syncPath(this.#blobs);
    return { digest, sizeBytes: size };
  }
}

function limited(maximumBytes: number): Transform {
  let seen = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      seen += chunk.length;
      if (seen <= maximumBytes) done(null, chunk);
      else
        done(
          new WeftError('too-large', `more than the allowed ${maximumBytes} bytes`, {
            details: { maximumBytes },
          }),
        );
    },
  });
}
