import { deflateSync } from 'node:zlib';
import { WeftError } from '../../agent/kit/errors.ts';

const PNG_SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
/** Colour type 2: red, green and blue, eight bits each. */
const TRUE_COLOUR = [8, 2, 0, 0, 0] as const;

/** The bytes of a file of this kind. @param picture PPM (P6, 8 bits) or PNG. @throws WeftError `not-supported`. */
export function pictureAs(kind: 'png' | 'ppm', picture: Buffer): Buffer {
  const isPng = picture.subarray(0, 8).equals(PNG_SIGNATURE);
  if (isPng === (kind === 'png')) return picture;
  if (isPng)
    throw new WeftError('not-supported', 'the host gave a PNG', { remedy: 'Name a file that ends in .png.' });
  return pngOf(picture);
}

/** Format: https://www.w3.org/TR/png-3/, one filter (none), one block of data. */
function pngOf(ppm: Buffer): Buffer {
  const head = /^P6\s+(\d{1,5})\s+(\d{1,5})\s+255\s/.exec(ppm.subarray(0, 64).toString('latin1'));
  const width = Number(head?.[1]);
  const height = Number(head?.[2]);
  const stride = 3 * width;
  const pixels = ppm.subarray(head?.[0].length ?? 0);
  if (!head || pixels.length < stride * height)
    throw new WeftError('not-supported', 'the host gave a picture of a kind that is not known here');
  const rows = Buffer.alloc((stride + 1) * height);
  for (let row = 0; row < height; row++)
    pixels.copy(rows, row * (stride + 1) + 1, row * stride, (row + 1) * stride);
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set(TRUE_COLOUR, 8);
  return Buffer.concat([
    PNG_SIGNATURE,
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(rows)),
    chunk('IEND'),
  ]);
}

function chunk(type: string, data: Buffer = Buffer.alloc(0)): Buffer {
  const content = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const made = Buffer.alloc(content.length + 8);
  made.writeUInt32BE(data.length, 0);
  content.copy(made, 4);
  made.writeUInt32BE(crc32(content), content.length + 4);
  return made;
}

/** CRC-32 of ISO 3309. The one of node:zlib came later than Node 20.0. */
function crc32(bytes: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}
