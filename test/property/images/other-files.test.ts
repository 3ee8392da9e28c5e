import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exec } from '../../../agent/kit/exec.ts';
import { BufferBytes } from '../../../images/formats/bytes.ts';
import { inspectBytes } from '../../../images/formats/inspect.ts';

/** An image that refers to another file, and the bytes that make it so: everything else may change. */
interface Referring {
  readonly name: string;
  readonly image: Buffer;
  readonly kept: readonly (readonly [from: number, to: number])[];
}

describe('an image that refers to another file is refused, whatever else its header says', () => {
  let folder: string;
  const referring: Referring[] = [];
  const at = (name: string) => join(folder, name);
  const create = async (format: string, name: string, ...options: string[]) => {
    await exec('qemu-img', ['create', '-q', '-f', format, ...options], { timeoutMs: 30_000 });
    return readFile(at(name));
  };
  /** Magic and version stay: another format would be another question. */
  const add = (name: string, image: Buffer, ...kept: Referring['kept']) =>
    referring.push({ name, image, kept: [[0, 8], ...kept] });

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'weft-referring-'));
    await create('qcow2', 'base.qcow2', at('base.qcow2'), '8M');
    await create('vmdk', 'base.vmdk', at('base.vmdk'), '8M');
    const overlay = ['-F', 'qcow2', '-b', at('base.qcow2'), at('overlay.qcow2')];
    add('a qcow2 with a backing file', await create('qcow2', 'overlay.qcow2', ...overlay), [8, 20]);
    const external = ['-o', `data_file=${at('data.raw')}`, at('external.qcow2'), '8M'];
    // The feature bit; and that the header is long enough to have one.
    add('a qcow2 with a data file', await create('qcow2', 'external.qcow2', ...external), [72, 80]);
    const child = await create('vmdk', 'child.vmdk', '-F', 'vmdk', '-b', at('base.vmdk'), at('child.vmdk'));
    const descriptor = child.indexOf('# Disk DescriptorFile');
    const end = child.indexOf('\0', descriptor);
    add('a VMDK with a parent', child, [12, 20], [28, 44], [descriptor, end]);
    const flat = ['-o', 'subformat=monolithicFlat', at('flat.vmdk'), '8M'];
    add('a VMDK whose data is elsewhere', await create('vmdk', 'flat.vmdk', ...flat), [0, 64]);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('by its backing file, data file, parent or extents', async () => {
    for (const { image } of referring)
      await expect(inspectBytes(new BufferBytes(image))).rejects.toMatchObject({ code: 'invalid-image' });
    const change = fc.record({ at: fc.nat(2_047), to: fc.oneof(fc.constantFrom(0, 1, 0xff), fc.nat(255)) });
    await fc.assert(
      fc.asyncProperty(fc.nat(3), fc.array(change, { maxLength: 12 }), async (which, changes) => {
        const one = referring[which];
        if (!one) throw new Error('there is no such image');
        const image = Buffer.from(one.image);
        for (const { at: offset, to } of changes)
          if (!one.kept.some(([from, until]) => offset >= from && offset < until))
            image[offset % image.length] = to;
        const outcome = await inspectBytes(new BufferBytes(image)).catch((error: unknown) => error);
        expect(outcome, one.name).toMatchObject({ name: 'WeftError', code: 'invalid-image' });
      }),
      { numRuns: 3_000 },
    );
  });

  it('nor does a header cost more than it is worth: tables as large as its fields can say', async () => {
    const base = await readFile(at('base.qcow2'));
    const field = fc.constantFrom(0, 1, 0x7fffffff, 0x80000000, 0xffffffff);
    await fc.assert(
      fc.asyncProperty(
        field,
        field,
        field,
        field,
        async (l1Entries, refcountClusters, sizeHigh, offsetHigh) => {
          const image = Buffer.from(base);
          image.writeUInt32BE(l1Entries, 36);
          image.writeUInt32BE(refcountClusters, 56);
          image.writeUInt32BE(sizeHigh, 24);
          image.writeUInt32BE(offsetHigh, 40);
          const before = process.memoryUsage().arrayBuffers;
          const outcome = await inspectBytes(new BufferBytes(image)).catch((error: unknown) => error);
          expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * 1024 ** 2);
          const isWhole = l1Entries <= 1 && refcountClusters === 1 && sizeHigh === 0 && offsetHigh === 0;
          if (!isWhole) expect(outcome).toMatchObject({ name: 'WeftError', code: 'invalid-image' });
        },
      ),
      { numRuns: 500 },
    );
  });
});
