import { type FileHandle, open } from 'node:fs/promises';
import { WeftError } from '../../agent/kit/errors.ts';

/** An image as its header checks see it: sized, and read in few small pieces. */
export interface Bytes {
  readonly sizeBytes: number;
  /** Exactly `length` bytes. @throws WeftError `invalid-image` (truncated) when they are not all there. */
  read(offset: number, length: number): Promise<Buffer>;
}

/** No single read of a header check is longer. */
const LONGEST_READ = 1024 * 1024;

export function invalidImage(problem: string, remedy: string): WeftError {
  return new WeftError('invalid-image', `the image ${problem}`, { remedy });
}

export function truncated(): WeftError {
  return invalidImage('is truncated', 'Copy it again from its source, and compare its checksum there.');
}

abstract class CheckedBytes implements Bytes {
  readonly sizeBytes: number;

  constructor(sizeBytes: number) {
    this.sizeBytes = sizeBytes;
  }

  async read(offset: number, length: number): Promise<Buffer> {
    if (!Number.isSafeInteger(offset) || offset < 0 || length < 0 || length > LONGEST_READ)
      throw invalidImage('has a damaged header', 'Copy it again from its source.');
    if (offset + length > this.sizeBytes) throw truncated();
    const bytes = await this.fetch(offset, length);
    if (bytes.length !== length) throw truncated();
    return bytes;
  }

  protected abstract fetch(offset: number, length: number): Promise<Buffer>;
}

export class BufferBytes extends CheckedBytes {
  readonly #buffer: Buffer;

  constructor(buffer: Buffer) {
    super(buffer.length);
    this.#buffer = buffer;
  }

  protected async fetch(offset: number, length: number): Promise<Buffer> {
    return this.#buffer.subarray(offset, offset + length);
  }
}

export class FileBytes extends CheckedBytes {
  readonly #file: FileHandle;

  private constructor(file: FileHandle, sizeBytes: number) {
    super(sizeBytes);
    this.#file = file;
  }

  /** @throws WeftError `invalid-image` when it is no regular file. */
  static async open(path: string): Promise<FileBytes> {
    const file = await open(path, 'r');
    const found = await file.stat();
    if (found.isFile()) return new FileBytes(file, found.size);
    await file.close();
    throw invalidImage('is not a regular file', 'Give the path of a disk image.');
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  protected async fetch(offset: number, length: number): Promise<Buffer> {
    const buffer = Buffer.alloc(length);
    const { bytesRead } = await this.#file.read(buffer, 0, length, offset);
    return buffer.subarray(0, bytesRead);
  }
}

/** A 64-bit field as a number. @throws WeftError `invalid-image` beyond 2^53: no real image has such a size or offset. */
export function safeNumber(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER))
    throw invalidImage(
      'has a damaged header: a field is absurdly large',
      'Copy it again from its source, and compare its checksum there.',
    );
  return Number(value);
}
