import { type Bytes, invalidImage, safeNumber, truncated } from './bytes.ts';

/** Layout and figures: https://gitlab.com/qemu-project/qemu/-/blob/master/docs/interop/qcow2.txt; limits as in QEMU's block/qcow2.h. */
const MAXIMUM_L1_BYTES = 32 * 1024 ** 2;
const MAXIMUM_REFCOUNT_TABLE_BYTES = 8 * 1024 ** 2;
const MAXIMUM_SNAPSHOTS = 65_536;
const INCOMPATIBLE = { corrupt: 1n << 1n, externalData: 1n << 2n, extendedL2: 1n << 4n, known: 0b11111n };
const EXTENSION = { end: 0, externalData: 0x44415441, encryption: 0x0537be77 };
const MAXIMUM_EXTENSIONS = 32;

const DAMAGED_REMEDY = 'Copy it again from its source, or repair it with: qemu-img check -r all FILE';

function damaged(what: string): Error {
  return invalidImage(`has a damaged qcow2 header: ${what}`, DAMAGED_REMEDY);
}

export async function checkQcow2(bytes: Bytes): Promise<{ virtualSizeBytes: number }> {
  const base = await bytes.read(0, 72);
  const version = base.readUInt32BE(4);
  if (version !== 2 && version !== 3)
    throw invalidImage(
      `is qcow version ${version}, which is not supported`,
      'Convert it with: qemu-img convert -O qcow2 FILE NEW',
    );
  if (base.readBigUInt64BE(8) !== 0n || base.readUInt32BE(16) !== 0)
    throw invalidImage(
      'has a backing file: it is only the changes on top of another image',
      'Make it whole with: qemu-img convert -O qcow2 FILE NEW',
    );
  if (base.readUInt32BE(32) !== 0) throw encrypted();
  const clusterBits = base.readUInt32BE(20);
  if (clusterBits < 9 || clusterBits > 21) throw damaged(`cluster_bits is ${clusterBits}`);
  const features = version === 3 ? await checkVersion3(bytes, 2 ** clusterBits) : 0n;
  const virtualSizeBytes = safeNumber(base.readBigUInt64BE(24));
  checkTables(base, bytes.sizeBytes, clusterBits, virtualSizeBytes, features);
  return { virtualSizeBytes };
}

/** @returns the incompatible features. */
async function checkVersion3(bytes: Bytes, clusterBytes: number): Promise<bigint> {
  const rest = await bytes.read(72, 32);
  const features = rest.readBigUInt64BE(0);
  if ((features & INCOMPATIBLE.externalData) !== 0n) throw externalData();
  if ((features & INCOMPATIBLE.corrupt) !== 0n)
    throw invalidImage('is marked as corrupt', 'Repair it with: qemu-img check -r all FILE');
  if ((features & ~INCOMPATIBLE.known) !== 0n)
    throw invalidImage(
      `uses qcow2 features that are not known here (0x${features.toString(16)})`,
      'Convert it with the QEMU that made it: qemu-img convert -O qcow2 -o compat=1.1 FILE NEW',
    );
  const refcountOrder = rest.readUInt32BE(24);
  if (refcountOrder > 6) throw damaged(`refcount_order is ${refcountOrder}`);
  const headerBytes = rest.readUInt32BE(28);
  if (headerBytes < 104 || headerBytes > clusterBytes || headerBytes % 8 !== 0)
    throw damaged(`header_length is ${headerBytes}`);
  await checkExtensions(bytes, headerBytes, clusterBytes);
  return features;
}

async function checkExtensions(bytes: Bytes, start: number, clusterBytes: number): Promise<void> {
  let at = start;
  for (let count = 0; at + 8 <= clusterBytes; count++) {
    if (count > MAXIMUM_EXTENSIONS) throw damaged('too many header extensions');
    const extension = await bytes.read(at, 8);
    const type = extension.readUInt32BE(0);
    if (type === EXTENSION.end) return;
    if (type === EXTENSION.externalData) throw externalData();
    if (type === EXTENSION.encryption) throw encrypted();
    const length = extension.readUInt32BE(4);
    if (length > clusterBytes - at - 8) throw damaged('a header extension is too long');
    at += 8 + Math.ceil(length / 8) * 8;
  }
}

function checkTables(
  base: Buffer,
  fileBytes: number,
  clusterBits: number,
  virtualSizeBytes: number,
  features: bigint,
): void {
  const clusterBytes = 2 ** clusterBits;
  const l2EntryBytes = (features & INCOMPATIBLE.extendedL2) === 0n ? 8 : 16;
  const l1Bytes = base.readUInt32BE(36) * 8;
  const l1Offset = safeNumber(base.readBigUInt64BE(40));
  const refcountOffset = safeNumber(base.readBigUInt64BE(48));
  const refcountBytes = base.readUInt32BE(56) * clusterBytes;
  const needed = Math.ceil(virtualSizeBytes / ((clusterBytes / l2EntryBytes) * clusterBytes));
  if (l1Bytes > MAXIMUM_L1_BYTES || l1Bytes / 8 < needed) throw damaged('the size of its L1 table is absurd');
  if (refcountBytes === 0 || refcountBytes > MAXIMUM_REFCOUNT_TABLE_BYTES)
    throw damaged('the size of its refcount table is absurd');
  if (l1Offset % clusterBytes !== 0 || refcountOffset % clusterBytes !== 0)
    throw damaged('a table is misaligned');
  if (base.readUInt32BE(60) > MAXIMUM_SNAPSHOTS) throw damaged('the number of snapshots is absurd');
  if (l1Offset + l1Bytes > fileBytes || refcountOffset >= fileBytes) throw truncated();
}

function encrypted(): Error {
  return invalidImage(
    'is encrypted',
    'Decrypt it with qemu-img convert and the passphrase, then import the result.',
  );
}

function externalData(): Error {
  return invalidImage(
    'keeps its data in another file',
    'Make it whole with: qemu-img convert -O qcow2 FILE NEW',
  );
}
