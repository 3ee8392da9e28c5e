import { WeftError } from '../../../agent/kit/errors.ts';

/** Magic number of LZ4's legacy frame, which the kernel's build uses (`lz4 -l`). */
const LEGACY_MAGIC = 0x184c2102;

function broken(): WeftError {
  return new WeftError('invalid-image', 'the kernel’s compressed payload is damaged', {
    remedy: 'Fetch the kernel package again.',
  });
}

/**
 * Unpacks an LZ4 legacy frame: a magic number, then blocks of `u32 length, data`, to exactly `sizeBytes`.
 * Format: https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md and lz4_Block_format.md.
 * @throws WeftError `invalid-image` for anything else.
 */
export function unpackLz4Legacy(frame: Buffer, sizeBytes: number): Buffer {
  if (frame.length < 8 || frame.readUInt32LE(0) !== LEGACY_MAGIC) throw broken();
  const output = Buffer.alloc(sizeBytes);
  let written = 0;
  let at = 4;
  while (written < sizeBytes) {
    if (at + 4 > frame.length) throw broken();
    const end = at + 4 + frame.readUInt32LE(at);
    if (end > frame.length) throw broken();
    written = unpackBlock(frame.subarray(at + 4, end), output, written);
    at = end;
  }
  return output;
}

/** Unpacks one block behind what `output` already holds. @returns the new end of the output. */
function unpackBlock(block: Buffer, output: Buffer, start: number): number {
  let from = 0;
  let to = start;
  const next = (): number => {
    const byte = block[from++];
    if (byte === undefined) throw broken();
    return byte;
  };
  const length = (nibble: number): number => {
    let total = nibble;
    if (nibble === 15) {
      let byte: number;
      do {
        byte = next();
        total += byte;
      } while (byte === 255);
    }
    return total;
  };
  while (from < block.length) {
    const token = next();
    const literals = length(token >> 4);
    if (from + literals > block.length || to + literals > output.length) throw broken();
    block.copy(output, to, from, from + literals);
    from += literals;
    to += literals;
    if (from >= block.length) break;
    const distance = next() | (next() << 8);
    const match = length(token & 15) + 4;
    if (distance === 0 || distance > to || to + match > output.length) throw broken();
    copyMatch(output, to, distance, match);
    to += match;
  }
  return to;
}

/** A match may overlap what it writes: then it repeats its pattern, so it goes byte by byte. */
function copyMatch(output: Buffer, to: number, distance: number, count: number): void {
  if (distance >= count) {
    output.copy(output, to, to - distance, to - distance + count);
    return;
  }
  for (let index = 0; index < count; index++) output[to + index] = output[to + index - distance] ?? 0;
}
