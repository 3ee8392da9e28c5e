import { type Bytes, invalidImage, safeNumber } from './bytes.ts';

/** Layout: Microsoft's [MS-VHDX]. GUIDs as they lie in the file. */
const HEADERS = [64 * 1024, 128 * 1024];
const REGION_TABLES = [192 * 1024, 256 * 1024];
const METADATA_REGION = '06a27c8b90479a4bb8fe575f050f886e';
const ITEM = {
  fileParameters: '3767a1ca36fa434db3b633f0aa44e76b',
  virtualDiskSize: '2442a52f1bcd7648b2115dbed83bf4b8',
  parentLocator: '2d5fd3a80bb34d45abf7d3d84834ab0c',
};
const HAS_PARENT = 2;
const MAXIMUM_ENTRIES = 2047;

function damaged(what: string): Error {
  return invalidImage(`has a damaged VHDX header: ${what}`, 'Copy it again from its source.');
}

function hasParent(): Error {
  return invalidImage(
    'is a differencing VHDX: it is only the changes on top of another disk',
    'Merge it into its parent (Hyper-V: Merge-VHD), then import the result.',
  );
}

export async function checkVhdx(bytes: Bytes): Promise<{ virtualSizeBytes: number }> {
  await checkLog(bytes);
  const sizes = new Set<number>();
  // Either table may be the current one, so both must be harmless.
  for (const offset of REGION_TABLES) {
    const metadata = await metadataOffset(bytes, offset);
    if (metadata !== null) sizes.add(await checkMetadata(bytes, metadata));
  }
  const [virtualSizeBytes] = sizes;
  if (virtualSizeBytes === undefined) throw damaged('it has no region table');
  if (sizes.size > 1) throw damaged('its two region tables differ');
  return { virtualSizeBytes };
}

/** A log to replay means that it was not closed: QEMU would refuse to read it. */
async function checkLog(bytes: Bytes): Promise<void> {
  let current: { sequence: bigint; isDirty: boolean } | null = null;
  for (const offset of HEADERS) {
    const header = await bytes.read(offset, 80);
    if (header.toString('latin1', 0, 4) !== 'head') continue;
    const sequence = header.readBigUInt64LE(8);
    const isDirty = header.subarray(48, 64).some((byte) => byte !== 0);
    if (current === null || sequence > current.sequence) current = { sequence, isDirty };
  }
  if (current === null) throw damaged('it has no header');
  if (current.isDirty)
    throw invalidImage(
      'was not closed properly: its log has to be replayed first',
      'Shut the virtual machine down (or mount and dismount the disk), then copy it again.',
    );
}

async function metadataOffset(bytes: Bytes, table: number): Promise<number | null> {
  const head = await bytes.read(table, 16);
  if (head.toString('latin1', 0, 4) !== 'regi') return null;
  const count = head.readUInt32LE(8);
  if (count > MAXIMUM_ENTRIES) throw damaged('its region table is absurd');
  const entries = await bytes.read(table + 16, count * 32);
  for (let at = 0; at < entries.length; at += 32)
    if (entries.toString('hex', at, at + 16) === METADATA_REGION)
      return safeNumber(entries.readBigUInt64LE(at + 16));
  throw damaged('it has no metadata region');
}

/** @returns the virtual size in bytes. */
async function checkMetadata(bytes: Bytes, offset: number): Promise<number> {
  const head = await bytes.read(offset, 32);
  if (head.toString('latin1', 0, 8) !== 'metadata') throw damaged('its metadata region is not one');
  const count = head.readUInt16LE(10);
  if (count > MAXIMUM_ENTRIES) throw damaged('its metadata table is absurd');
  const entries = await bytes.read(offset + 32, count * 32);
  let virtualSizeBytes: number | null = null;
  let hasParameters = false;
  for (let at = 0; at < entries.length; at += 32) {
    const item = entries.toString('hex', at, at + 16);
    const content = offset + entries.readUInt32LE(at + 16);
    if (item === ITEM.parentLocator) throw hasParent();
    if (item === ITEM.fileParameters) {
      hasParameters = true;
      const parameters = await bytes.read(content, 8);
      if ((parameters.readUInt32LE(4) & HAS_PARENT) !== 0) throw hasParent();
    }
    if (item === ITEM.virtualDiskSize)
      virtualSizeBytes = safeNumber((await bytes.read(content, 8)).readBigUInt64LE(0));
  }
  if (!hasParameters || virtualSizeBytes === null) throw damaged('its metadata is incomplete');
  return virtualSizeBytes;
}
