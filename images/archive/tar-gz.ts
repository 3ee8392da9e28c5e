import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import { WeftError } from '../../agent/kit/errors.ts';
import type { ArchiveLimits } from './contract.ts';
import { invalidPackage } from './entry-rules.ts';

type Source = ReturnType<typeof extract> extends AsyncIterable<infer One> ? One : never;

/** One entry as it lies in the archive, not judged yet. */
export interface TarEntry {
  readonly header: Source['header'];
  /** @throws WeftError `invalid-package` when the archive ends or breaks within it. */
  content(): AsyncGenerator<Buffer>;
  /** Passes over what has not been read. */
  skip(): void;
}

const REMEDY = 'Make it with: tar -C FOLDER -czf crm.tar.gz .';
/** Below this, a high ratio is only a small text that packs well. */
const RATIO_FROM_BYTES = 16 * 1024 ** 2;

/**
 * The raw entries of a gzip-compressed tar archive, in order; each must be read or skipped before the next is asked for.
 * @throws WeftError `invalid-package` when it is none, is truncated, or unpacks to more than the limits.
 */
export async function* readTarGz(file: string, limits: ArchiveLimits): AsyncGenerator<TarEntry> {
  const tar = extract();
  const packed = createReadStream(file);
  tar.on('error', () => {});
  const pumping = pump(packed, tar, limits).then(
    () => null,
    (thrown: unknown) => {
      // Whoever is reading an entry sees the reason too.
      const error = translate(thrown);
      tar.destroy(error);
      return error;
    },
  );
  let seen = 0;
  try {
    for await (const entry of tar) {
      if (++seen > limits.maximumEntries)
        throw invalidPackage(`holds more than ${limits.maximumEntries} entries`, 'Pack fewer files.');
      yield {
        header: entry.header,
        content: () => contentOf(entry),
        skip: () => void entry.resume(),
      };
    }
  } catch (error) {
    throw translate((await Promise.race([pumping, settled()])) ?? error);
  } finally {
    tar.destroy();
    packed.destroy();
  }
  const failure = await pumping;
  if (failure !== null) throw failure;
  if (seen === 0) throw invalidPackage('is empty', REMEDY);
}

async function* contentOf(source: Source): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of source) yield chunk as Buffer;
  } catch (error) {
    throw translate(error);
  }
}

async function settled(): Promise<null> {
  await new Promise((resolve) => setImmediate(resolve));
  return null;
}

/** Unpacks into the tar reader at the reader's pace, counting. Ends when either side does. */
async function pump(packed: Readable, tar: ReturnType<typeof extract>, limits: ArchiveLimits): Promise<void> {
  const gunzip = createGunzip();
  let packedBytes = 0;
  let unpackedBytes = 0;
  packed.on('data', (chunk: Buffer | string) => {
    packedBytes += chunk.length;
  });
  packed.once('error', (error) => gunzip.destroy(error));
  packed.pipe(gunzip);
  const closed = new Promise<void>((resolve) => tar.once('close', () => resolve()));
  try {
    for await (const chunk of gunzip as AsyncIterable<Buffer>) {
      unpackedBytes += chunk.length;
      if (unpackedBytes > limits.maximumBytes)
        throw invalidPackage(`unpacks to more than ${limits.maximumBytes} bytes`, 'Pack less into it.');
      if (unpackedBytes > RATIO_FROM_BYTES && unpackedBytes > packedBytes * limits.maximumRatio)
        throw invalidPackage(
          `unpacks to more than ${limits.maximumRatio} times its size`,
          'Leave out huge files of nothing but zeros.',
        );
      if (tar.destroyed) return;
      if (!tar.write(chunk))
        await Promise.race([new Promise<void>((resolve) => tar.once('drain', () => resolve())), closed]);
    }
    const finished = new Promise<void>((resolve, reject) => {
      tar.once('finish', () => resolve());
      tar.once('error', reject);
    });
    tar.end(null);
    await Promise.race([finished, closed]);
  } finally {
    gunzip.destroy();
  }
}

function translate(thrown: unknown): WeftError {
  if (thrown instanceof WeftError) return thrown;
  const error = thrown as NodeJS.ErrnoException;
  if (error.code === 'ENOENT')
    return new WeftError('not-found', 'the package file does not exist', { cause: error });
  if (error.code === 'Z_BUF_ERROR' || error.message === 'Unexpected end of data')
    return invalidPackage('is truncated', 'Pack and upload it again.');
  return invalidPackage(`is not a gzip-compressed tar archive (${error.message ?? String(thrown)})`, REMEDY);
}
