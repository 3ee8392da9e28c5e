import type { CallOptions } from './call-options.ts';
import type { Library } from './library.ts';
import type { StreamHandle } from './native.ts';

/** A two-way byte stream, for example a domain's console. Bytes wait, here and at the daemon, until they are read. */
export class Stream implements AsyncIterable<Buffer> {
  readonly #library: Library;
  readonly #handle: StreamHandle;
  #reading = false;
  #closed: Promise<void> | null = null;

  /** @internal */
  constructor(library: Library, handle: StreamHandle) {
    this.#library = library;
    this.#handle = handle;
  }

  /**
   * Next bytes (at most 64 KiB), or null at the end. A withdrawn read loses no bytes.
   * @throws LibvirtError when the stream broke or its connection was lost; Error for a second read at the same time.
   */
  async read(options?: CallOptions): Promise<Buffer | null> {
    if (this.#reading) throw new Error('this stream is being read already');
    this.#reading = true;
    try {
      return await this.#library.run('streamRead', [this.#handle], options);
    } finally {
      this.#reading = false;
    }
  }

  /**
   * Resolves when libvirt has taken all bytes. Writes keep their order when each is awaited. A withdrawn write may have
   * sent any part of its bytes.
   */
  write(bytes: Uint8Array | string, options?: CallOptions): Promise<void> {
    const data = typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
    return this.#library.run('streamWrite', [this.#handle, data], options);
  }

  /** Ends both directions; a waiting read resolves null. Safe to call again. */
  close(options?: CallOptions): Promise<void> {
    this.#closed ??= this.#library.run('streamClose', [this.#handle], options);
    return this.#closed;
  }

  /** Calls `listener` with all bytes until the end; returns a promise of the end. */
  async forEach(listener: (bytes: Buffer) => void, options?: CallOptions): Promise<void> {
    for (let bytes = await this.read(options); bytes !== null; bytes = await this.read(options))
      listener(bytes);
  }

  /** Reads to the end; leaving the loop early closes the stream. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void, void> {
    try {
      for (let bytes = await this.read(); bytes !== null; bytes = await this.read()) yield bytes;
    } finally {
      await this.close();
    }
  }
}
