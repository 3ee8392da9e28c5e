import { type Bytes, invalidImage, safeNumber, truncated } from './bytes.ts';

/** Layout: VMware's "Virtual Disk Format 5.0"; limits as in QEMU's block/vmdk.c. */
const SECTOR = 512;
const DESCRIPTOR_BYTES = 20 * SECTOR;
/** Directory offset of a stream-optimized disk: the real one is in the footer. */
const AT_END = (1n << 64n) - 1n;
const SINGLE_FILE_TYPES = new Set(['monolithicsparse', 'streamoptimized']);
const WHOLE_REMEDY = 'Make it one file with: qemu-img convert -O vmdk FILE NEW (or export it anew).';

export async function checkVmdk(bytes: Bytes): Promise<{ virtualSizeBytes: number }> {
  const header = await bytes.read(0, SECTOR);
  const version = header.readUInt32LE(4);
  if (version < 1 || version > 3)
    throw invalidImage(`is VMDK version ${version}, which is not supported`, WHOLE_REMEDY);
  const capacity = safeNumber(header.readBigUInt64LE(12));
  const grainSectors = safeNumber(header.readBigUInt64LE(20));
  const descriptorSector = safeNumber(header.readBigUInt64LE(28));
  const entriesPerTable = header.readUInt32LE(44);
  // Without a capacity QEMU reads the extents that the descriptor names: other files.
  if (capacity === 0 || descriptorSector === 0) throw otherFiles();
  const isPowerOfTwo = Number.isInteger(Math.log2(grainSectors));
  if (!isPowerOfTwo || grainSectors > 4096 || entriesPerTable === 0 || entriesPerTable > 512)
    throw invalidImage(
      'has a damaged VMDK header: its grain size is absurd',
      'Copy it again from its source.',
    );
  await checkDirectory(bytes, header, Math.ceil(capacity / (grainSectors * entriesPerTable)));
  const descriptorBytes = Math.min(DESCRIPTOR_BYTES, bytes.sizeBytes - descriptorSector * SECTOR);
  if (descriptorBytes <= 0) throw truncated();
  checkDescriptor((await bytes.read(descriptorSector * SECTOR, descriptorBytes)).toString('latin1'));
  return { virtualSizeBytes: safeNumber(BigInt(capacity) * 512n) };
}

/** The grain directory must lie in the file; a stream-optimized disk ends with a footer that says where. */
async function checkDirectory(bytes: Bytes, header: Buffer, entries: number): Promise<void> {
  let directory = header.readBigUInt64LE(56);
  if (directory === AT_END) {
    if (bytes.sizeBytes < 3 * SECTOR) throw truncated();
    const footer = await bytes.read(bytes.sizeBytes - 2 * SECTOR, SECTOR);
    if (footer.toString('latin1', 0, 4) !== 'KDMV') throw truncated();
    if (footer.readBigUInt64LE(12) === 0n) throw otherFiles();
    directory = footer.readBigUInt64LE(56);
  }
  if (safeNumber(directory) * SECTOR + entries * 4 > bytes.sizeBytes) throw truncated();
}

function checkDescriptor(text: string): void {
  const end = text.indexOf('\0');
  const descriptor = end < 0 ? text : text.slice(0, end);
  const parent = /^\s*parentCID\s*=\s*"?([0-9a-z]+)/im.exec(descriptor)?.[1]?.toLowerCase();
  if ((parent !== undefined && parent !== 'ffffffff') || /parentFileNameHint/i.test(text))
    throw invalidImage(
      'has a parent: it is only the changes on top of another disk (a snapshot or a linked clone)',
      'Consolidate its snapshots, or export the virtual machine anew.',
    );
  const type = /^\s*createType\s*=\s*"?([a-z0-9]+)/im.exec(descriptor)?.[1]?.toLowerCase();
  if (type === undefined || !SINGLE_FILE_TYPES.has(type)) throw otherFiles();
}

/** The small text file that stands before split and flat disks. */
export async function refuseDescriptorFile(): Promise<never> {
  throw otherFiles();
}

function otherFiles(): Error {
  return invalidImage('is one part of a VMDK whose data is in other files', WHOLE_REMEDY);
}
