import { type Bytes, invalidImage, safeNumber, truncated } from './bytes.ts';

/** Layout: Microsoft's "Virtual Hard Disk Image Format Specification", version 1.0. */
const FOOTER = 512;
const TYPE = { fixed: 2, dynamic: 3, differencing: 4 };
const MAXIMUM_BLOCKS = 4 * 1024 * 1024;

function damaged(what: string): Error {
  return invalidImage(`has a damaged VHD footer: ${what}`, 'Copy it again from its source.');
}

export async function checkVhd(bytes: Bytes): Promise<{ virtualSizeBytes: number }> {
  if (bytes.sizeBytes < FOOTER) throw truncated();
  const footer = await bytes.read(bytes.sizeBytes - FOOTER, FOOTER);
  // A dynamic disk starts with a copy; the original is what a broken-off transfer lacks.
  if (footer.toString('latin1', 0, 8) !== 'conectix') throw truncated();
  if (footer.readUInt32BE(64) !== checksum(footer, 64)) throw damaged('its checksum is wrong');
  const type = footer.readUInt32BE(60);
  if (type === TYPE.differencing)
    throw invalidImage(
      'is a differencing VHD: it is only the changes on top of another disk',
      'Merge it into its parent (Hyper-V: Merge-VHD), then import the result.',
    );
  if (type !== TYPE.fixed && type !== TYPE.dynamic) throw damaged(`its type is ${type}`);
  const virtualSizeBytes = safeNumber(footer.readBigUInt64BE(48));
  if (virtualSizeBytes % 512 !== 0) throw damaged('its size is no multiple of 512');
  if (type === TYPE.fixed) {
    if (virtualSizeBytes > bytes.sizeBytes - FOOTER) throw truncated();
  } else await checkDynamic(bytes, footer, virtualSizeBytes);
  return { virtualSizeBytes };
}

async function checkDynamic(bytes: Bytes, footer: Buffer, virtualSizeBytes: number): Promise<void> {
  const copy = await bytes.read(0, FOOTER);
  if (!copy.equals(footer)) throw damaged('its two copies differ');
  const header = await bytes.read(safeNumber(footer.readBigUInt64BE(16)), 1024);
  if (header.toString('latin1', 0, 8) !== 'cxsparse') throw damaged('it has no dynamic header');
  if (header.readUInt32BE(36) !== checksum(header, 36))
    throw damaged('the dynamic header’s checksum is wrong');
  const table = safeNumber(header.readBigUInt64BE(16));
  const blocks = header.readUInt32BE(28);
  const blockBytes = header.readUInt32BE(32);
  if (!Number.isInteger(Math.log2(blockBytes)) || blockBytes < 512 || blocks > MAXIMUM_BLOCKS)
    throw damaged('its blocks are absurd');
  if (blocks * blockBytes < virtualSizeBytes) throw damaged('its table is too small');
  if (table + blocks * 4 > bytes.sizeBytes) throw truncated();
  await checkBlocks(bytes, table, blocks, blockBytes);
}

/** qemu-img cannot check VHDs: here every allocated block must lie in the file. */
async function checkBlocks(bytes: Bytes, table: number, blocks: number, blockBytes: number): Promise<void> {
  const bitmapBytes = Math.ceil(blockBytes / 512 / 8 / 512) * 512;
  const step = 65_536;
  for (let first = 0; first < blocks; first += step) {
    const count = Math.min(step, blocks - first);
    const entries = await bytes.read(table + first * 4, count * 4);
    for (let index = 0; index < count; index++) {
      const sector = entries.readUInt32BE(index * 4);
      // The last block may be written short by some tools; its bitmap must be there.
      if (sector !== 0xffffffff && sector * 512 + bitmapBytes > bytes.sizeBytes - FOOTER) throw truncated();
    }
  }
}

/** One's complement of the sum of all bytes but the checksum's own. */
export function checksum(block: Buffer, at: number): number {
  let sum = 0;
  for (const [index, byte] of block.entries()) if (index < at || index >= at + 4) sum += byte;
  return ~sum >>> 0;
}
