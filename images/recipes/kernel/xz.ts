import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WeftError } from '../../../agent/kit/errors.ts';
import { exec } from '../../../agent/kit/exec.ts';

/**
 * Unpacks the first XZ stream of a buffer, by xz itself; what follows the stream is left alone.
 * @throws WeftError `command-failed` for damaged data; `invalid-image` when it does not unpack to exactly `sizeBytes`.
 */
export async function unpackXz(packed: Buffer, sizeBytes: number): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), 'weft-xz-'));
  try {
    await writeFile(join(folder, 'data.xz'), packed);
    await exec('xz', ['--decompress', '--single-stream', join(folder, 'data.xz')], { timeoutMs: 120_000 });
    const unpacked = await readFile(join(folder, 'data'));
    if (unpacked.length === sizeBytes) return unpacked;
    throw new WeftError('invalid-image', 'the kernel’s compressed payload is damaged', {
      remedy: 'Fetch the kernel package again.',
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
