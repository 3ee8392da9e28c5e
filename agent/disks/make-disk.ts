import { inspectImage } from '../../images/formats/inspect.ts';
import { exec } from '../kit/exec.ts';
import type { DiskSource } from './contract.ts';

const OVERLAY_LIMIT_MS = 60_000;

/** An empty overlay on a backing file. */
export async function createOverlay(backing: string, file: string, sizeBytes: number): Promise<void> {
  await exec(
    'qemu-img',
    ['create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', backing, file, String(sizeBytes)],
    { timeoutMs: OVERLAY_LIMIT_MS },
  );
}

/** An empty disk that lies on nothing. */
export async function createEmpty(file: string, sizeBytes: number): Promise<void> {
  await exec('qemu-img', ['create', '-q', '-f', 'qcow2', file, String(sizeBytes)], {
    timeoutMs: OVERLAY_LIMIT_MS,
  });
}

/** As large as it was, or larger where the machine's size asks for more. */
export async function writeWhole(source: DiskSource, file: string, sizeBytes: number): Promise<void> {
  await source.write(file);
  const { virtualSizeBytes } = await inspectImage(file);
  if (virtualSizeBytes < sizeBytes)
    await exec('qemu-img', ['resize', '-q', '-f', 'qcow2', file, String(sizeBytes)], {
      timeoutMs: OVERLAY_LIMIT_MS,
    });
}
