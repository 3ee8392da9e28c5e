import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** Passes bytes on and knows their digest when they have ended. */
export class StreamDigest extends Transform {
  readonly #hash = createHash('sha256');

  /** `sha256:` + hex; call once, after the end. */
  value(): string {
    return `sha256:${this.#hash.digest('hex')}`;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: (error: null, chunk: Buffer) => void) {
    this.#hash.update(chunk);
    done(null, chunk);
  }
}

/** `sha256:` + hex of a file's bytes, read as a stream. */
export async function digestOfFile(path: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash, signal === undefined ? {} : { signal });
  return `sha256:${hash.digest('hex')}`;
}
