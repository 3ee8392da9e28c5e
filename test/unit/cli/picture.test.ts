import { inflateSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { pictureAs } from '../../../controller/cli/picture.ts';

const PIXELS = Buffer.from([255, 0, 0, 0, 255, 0, 0, 0, 255, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
const PPM = Buffer.concat([Buffer.from('P6\n3 2\n255\n'), PIXELS]);

/** Name and data of each chunk; its checksum is that of its neighbour in a picture from another program. */
function chunksOf(png: Buffer): [string, Buffer][] {
  const chunks: [string, Buffer][] = [];
  for (let at = 8; at < png.length; ) {
    const length = png.readUInt32BE(at);
    chunks.push([png.toString('latin1', at + 4, at + 8), png.subarray(at + 8, at + 8 + length)]);
    at += length + 12;
  }
  return chunks;
}

describe('a picture', () => {
  test('becomes a PNG with the same size and the same pixels', () => {
    const png = pictureAs('png', PPM);
    expect(png.subarray(0, 8).toString('latin1')).toBe('\x89PNG\r\n\x1a\n');
    const chunks = chunksOf(png);
    expect(chunks.map(([name]) => name)).toEqual(['IHDR', 'IDAT', 'IEND']);
    expect([...(chunks[0]?.[1] ?? [])]).toEqual([0, 0, 0, 3, 0, 0, 0, 2, 8, 2, 0, 0, 0]);
    const rows = inflateSync(chunks[1]?.[1] ?? Buffer.alloc(0));
    expect(Buffer.concat([rows.subarray(1, 10), rows.subarray(11, 20)])).toEqual(PIXELS);
    expect([rows[0], rows[10]]).toEqual([0, 0]);
    // The end of every PNG there is.
    expect(png.subarray(-4).toString('hex')).toBe('ae426082');
  });

  test('stays as it is when it is of the kind that is wanted', () => {
    expect(pictureAs('ppm', PPM)).toBe(PPM);
    const png = pictureAs('png', PPM);
    expect(pictureAs('png', png)).toBe(png);
  });

  test('that is cut short, of another kind, or the wrong way round is refused', () => {
    for (const wrong of [PPM.subarray(0, -1), Buffer.from('P3\n1 1\n255\n0 0 0'), Buffer.alloc(0)])
      expect(() => pictureAs('png', wrong)).toThrow(/not known here/);
    expect(() => pictureAs('ppm', pictureAs('png', PPM))).toThrow(/gave a PNG/);
  });
});
