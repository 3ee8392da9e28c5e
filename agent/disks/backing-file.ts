import { open } from 'node:fs/promises';

const HEADER_BYTES = 20;
/** QEMU's own limit for the name. */
const MAXIMUM_NAME_BYTES = 1023;

/**
 * The backing file that a qcow2 overlay names, as written in its header (offset at byte 8, length at byte 16;
 * https://gitlab.com/qemu-project/qemu/-/blob/master/docs/interop/qcow2.txt). Null: it names none, or is no qcow2.
 */
export async function readBackingFile(path: string): Promise<string | null> {
  const file = await open(path, 'r');
  try {
    const header = Buffer.alloc(HEADER_BYTES);
    await file.read(header, 0, HEADER_BYTES, 0);
    const offset = header.readBigUInt64BE(8);
    const length = header.readUInt32BE(16);
    if (header.toString('latin1', 0, 4) !== 'QFI\xfb' || offset === 0n || length > MAXIMUM_NAME_BYTES)
      return null;
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, Number(offset));
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}

const VIRTUAL_SIZE_AT = 24;

/** The size of the disk that a qcow2 file holds, bytes. @throws Error for what is no qcow2. */
export async function readVirtualSize(path: string): Promise<number> {
  const file = await open(path, 'r');
  try {
    const header = Buffer.alloc(VIRTUAL_SIZE_AT + 8);
    await file.read(header, 0, header.length, 0);
    if (header.toString('latin1', 0, 4) !== 'QFI\xfb') throw new Error(`${path} is no qcow2 file`);
    return Number(header.readBigUInt64BE(VIRTUAL_SIZE_AT));
  } finally {
    await file.close();
  }
}
