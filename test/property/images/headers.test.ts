import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exec } from '../../../agent/kit/exec.ts';
import { BufferBytes, type Bytes } from '../../../images/formats/bytes.ts';
import { inspectBytes } from '../../../images/formats/inspect.ts';

/** Counts reads: a check must not be made to work by what it reads. */
class CountedBytes implements Bytes {
  reads = 0;
  bytes = 0;
  readonly #inner: BufferBytes;

  constructor(buffer: Buffer) {
    this.#inner = new BufferBytes(buffer);
  }

  get sizeBytes() {
    return this.#inner.sizeBytes;
  }

  read(offset: number, length: number) {
    this.reads++;
    this.bytes += length;
    return this.#inner.read(offset, length);
  }
}

async function judge(image: Buffer): Promise<void> {
  const bytes = new CountedBytes(image);
  const outcome = await inspectBytes(bytes).catch((error: unknown) => error);
  if (outcome instanceof Error) expect(outcome).toMatchObject({ name: 'WeftError', code: 'invalid-image' });
  else expect(outcome).toMatchObject({ virtualSizeBytes: expect.any(Number) });
  expect(bytes.reads).toBeLessThan(150);
  expect(bytes.bytes).toBeLessThan(32 * 1024 ** 2);
}

describe('header checks', () => {
  let folder: string;
  const seeds: Buffer[] = [];
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'weft-headers-'));
    const raw = join(folder, 'raw');
    writeFileSync(raw, Buffer.alloc(128 * 1024, 7));
    const kinds = [
      ['qcow2', 'cluster_size=512'],
      ['vmdk', 'subformat=monolithicSparse'],
      ['vmdk', 'subformat=streamOptimized'],
      ['vpc', 'force_size'],
      ['vpc', 'subformat=fixed,force_size'],
      ['vhdx', 'block_size=1M'],
    ];
    for (const [format = '', options = ''] of kinds) {
      const file = join(folder, 'made');
      await exec('qemu-img', ['convert', '-f', 'raw', '-O', format, '-o', options, raw, file], {
        timeoutMs: 30_000,
      });
      seeds.push(readFileSync(file));
    }
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('end, with an answer or an error of ours, on any bytes', async () => {
    const magic = fc.constantFrom(
      'QFI\xfb\0\0\0\x03',
      'KDMV\x01\0\0\0',
      'vhdxfile',
      'conectix',
      '# Disk DescriptorFile',
      '',
    );
    await fc.assert(
      fc.asyncProperty(magic, fc.uint8Array({ maxLength: 2048 }), (start, rest) =>
        judge(Buffer.concat([Buffer.from(start, 'latin1'), rest])),
      ),
      { numRuns: 2_000 },
    );
  });

  it('end, with an answer or an error of ours, on damaged images', async () => {
    const interesting = fc.constantFrom(0, 1, 2, 0x7f, 0x80, 0xff);
    const change = fc.record({
      // Headers are at the start, at 64 KiB steps (VHDX), and at the end.
      base: fc.constantFrom(0, 0, 0, 512, 65_536, 196_608, 262_144, 1_048_576, 2_097_152, -512, -1024),
      offset: fc.nat(128),
      bytes: fc.array(fc.oneof(interesting, fc.nat(255)), { minLength: 1, maxLength: 8 }),
    });
    const damage = fc.record({
      seed: fc.nat(5),
      changes: fc.array(change, { maxLength: 4 }),
      share: fc.oneof(fc.constant(1), fc.double({ min: 0, max: 1, noNaN: true })),
    });
    await fc.assert(
      fc.asyncProperty(damage, async ({ seed, changes, share }) => {
        const image = Buffer.from(seeds[seed] ?? Buffer.alloc(0));
        for (const { base, offset, bytes } of changes) {
          const start = (base < 0 ? image.length + base : base) + offset;
          for (const [index, byte] of bytes.entries())
            if (start + index < image.length) image[start + index] = byte;
        }
        await judge(image.subarray(0, Math.floor(image.length * share)));
      }),
      { numRuns: 1_000 },
    );
  });
});
