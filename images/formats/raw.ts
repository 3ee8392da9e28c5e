import { type Bytes, invalidImage } from './bytes.ts';

interface Impostor {
  readonly offset: number;
  /** Hexadecimal. */
  readonly magic: string;
  readonly is: string;
  readonly remedy: string;
}

const UNPACK = 'Unpack it first, then import the disk image that is in it.';
const CONVERT = 'Convert it with: qemu-img convert -O qcow2 FILE NEW';
const NOT_A_DISK = 'Give a disk image: qcow2, raw, vmdk, vhd or vhdx.';

/** What people hand over by mistake: without a magic number of its own, a raw disk must at least not have another's. */
const IMPOSTORS: readonly Impostor[] = [
  { offset: 0, magic: '1f8b', is: 'a gzip archive', remedy: UNPACK },
  { offset: 0, magic: 'fd377a585a00', is: 'an xz archive', remedy: UNPACK },
  { offset: 0, magic: '28b52ffd', is: 'a zstd archive', remedy: UNPACK },
  { offset: 0, magic: '425a68', is: 'a bzip2 archive', remedy: UNPACK },
  { offset: 0, magic: '504b0304', is: 'a zip archive', remedy: UNPACK },
  { offset: 0, magic: '377abcaf271c', is: 'a 7-Zip archive', remedy: UNPACK },
  {
    offset: 257,
    magic: '7573746172',
    is: 'a tar archive (perhaps an OVA)',
    remedy: `${UNPACK} Of an OVA: the .vmdk.`,
  },
  { offset: 0, magic: '7f454c46', is: 'a program or a kernel (ELF)', remedy: NOT_A_DISK },
  { offset: 0, magic: '2321', is: 'a script', remedy: NOT_A_DISK },
  { offset: 0, magic: '25504446', is: 'a PDF document', remedy: NOT_A_DISK },
  { offset: 0, magic: '514544', is: 'a QED image', remedy: CONVERT },
  { offset: 64, magic: '7f10dabe', is: 'a VirtualBox disk (VDI)', remedy: CONVERT },
  { offset: 0, magic: '434f5744', is: 'an old ESX disk (COWD)', remedy: CONVERT },
  { offset: 0, magic: '576974686f7574467265655370616365', is: 'a Parallels disk', remedy: CONVERT },
  { offset: 0, magic: '4c554b53babe', is: 'a LUKS volume', remedy: 'Decrypt it first.' },
];

export async function checkRaw(bytes: Bytes): Promise<{ virtualSizeBytes: number }> {
  if (bytes.sizeBytes === 0) throw invalidImage('is empty', NOT_A_DISK);
  const start = await bytes.read(0, Math.min(512, bytes.sizeBytes));
  for (const { offset, magic, is, remedy } of IMPOSTORS)
    if (start.toString('hex', offset, offset + Math.ceil(magic.length / 2)).startsWith(magic))
      throw invalidImage(`is ${is}, not a disk`, remedy);
  if (isText(start)) throw invalidImage('is a text file, not a disk', NOT_A_DISK);
  if (bytes.sizeBytes % 512 !== 0)
    throw invalidImage(
      `is ${bytes.sizeBytes} bytes long, no multiple of 512: it is truncated, or no raw disk`,
      NOT_A_DISK,
    );
  await refusePlainIso(bytes, start);
  return { virtualSizeBytes: bytes.sizeBytes };
}

/** A CD image that has a boot sector too (a hybrid) can be a disk; another one cannot. */
async function refusePlainIso(bytes: Bytes, start: Buffer): Promise<void> {
  if (bytes.sizeBytes < 34_816 || (start[510] === 0x55 && start[511] === 0xaa)) return;
  const descriptor = await bytes.read(32_768, 8);
  if (descriptor.toString('latin1', 1, 6) === 'CD001')
    throw invalidImage(
      'is a CD image (ISO 9660), not a disk',
      'Install from it, then import the installed disk.',
    );
}

function isText(start: Buffer): boolean {
  return start.every((byte) => (byte >= 0x20 && byte !== 0x7f) || (byte >= 0x09 && byte <= 0x0d));
}
