import { once } from 'node:events';
import { WeftError } from '../../agent/kit/errors.ts';
import type { BlobStore } from '../../images/contract.ts';

/**
 * A file that QEMU's -kernel takes: bzImage (`HdrS` at 0x202) or ELF on x86, `ARM\x64` at 56 or a gzip of it on ARM.
 * @throws WeftError `invalid-image`.
 */
export async function checkKernel(
  blobs: BlobStore,
  digest: string,
  architecture: 'x86_64' | 'aarch64',
): Promise<void> {
  const stream = blobs.open(digest, { start: 0, end: 1023 });
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(stream, 'close');
  const start = Buffer.concat(chunks);
  const has = (text: string, offset: number) =>
    start.toString('latin1', offset, offset + text.length) === text;
  const isKernel =
    architecture === 'x86_64'
      ? has('HdrS', 0x202) || has('\x7fELF', 0)
      : has('ARM\x64', 56) || has('\x1f\x8b', 0);
  if (!isKernel)
    throw new WeftError('invalid-image', `the kernel is not a Linux kernel for ${architecture}`, {
      remedy: 'Give the vmlinuz of the image, as it lies in its /boot.',
    });
}
