import { type Bytes, FileBytes, invalidImage } from './bytes.ts';
import {
  DEFAULT_IMAGE_LIMITS,
  type HeaderCheck,
  type ImageFacts,
  type ImageFormat,
  type ImageLimits,
} from './contract.ts';
import { checkQcow2 } from './qcow2.ts';
import { checkRaw } from './raw.ts';
import { checkVhd } from './vhd.ts';
import { checkVhdx } from './vhdx.ts';
import { checkVmdk, refuseDescriptorFile } from './vmdk.ts';

const DESCRIPTOR_START = '# Disk DescriptorFile';

/**
 * What an image is and how large its disk, before any tool is let near it.
 * @throws WeftError `invalid-image` with a remedy.
 */
export async function inspectImage(
  file: string,
  limits: ImageLimits = DEFAULT_IMAGE_LIMITS,
): Promise<ImageFacts> {
  const bytes = await FileBytes.open(file);
  try {
    return await inspectBytes(bytes, limits);
  } finally {
    await bytes.close();
  }
}

export async function inspectBytes(
  bytes: Bytes,
  limits: ImageLimits = DEFAULT_IMAGE_LIMITS,
): Promise<ImageFacts> {
  const { format, check } = await detect(bytes);
  const { virtualSizeBytes } = await check(bytes);
  if (virtualSizeBytes === 0) throw invalidImage('holds a disk of no size', 'Export it again.');
  if (virtualSizeBytes > limits.maximumVirtualBytes)
    throw invalidImage(
      `declares a disk of ${gib(virtualSizeBytes)} GiB; the limit is ${gib(limits.maximumVirtualBytes)} GiB`,
      'Shrink the disk before you export it.',
    );
  return { format, virtualSizeBytes };
}

/** By magic number, never by the file's name. */
async function detect(bytes: Bytes): Promise<{ format: ImageFormat; check: HeaderCheck }> {
  const start = await bytes.read(0, Math.min(64, bytes.sizeBytes));
  const text = start.toString('latin1');
  if (text.startsWith('QFI\xfb')) return { format: 'qcow2', check: checkQcow2 };
  if (text.startsWith('KDMV')) return { format: 'vmdk', check: checkVmdk };
  if (text.trimStart().startsWith(DESCRIPTOR_START)) return { format: 'vmdk', check: refuseDescriptorFile };
  if (text.startsWith('vhdxfile')) return { format: 'vhdx', check: checkVhdx };
  if (text.startsWith('conectix')) return { format: 'vhd', check: checkVhd };
  if (bytes.sizeBytes >= 512) {
    const end = await bytes.read(bytes.sizeBytes - 512, 8);
    if (end.toString('latin1') === 'conectix') return { format: 'vhd', check: checkVhd };
  }
  return { format: 'raw', check: checkRaw };
}

function gib(sizeBytes: number): number {
  return Math.round((sizeBytes / 1024 ** 3) * 10) / 10;
}
