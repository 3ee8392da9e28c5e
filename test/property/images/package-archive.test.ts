import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WeftError } from '../../../agent/kit/errors.ts';
import { EntryRules } from '../../../images/archive/entry-rules.ts';
import { inspectPackage } from '../../../images/archive/package-archive.ts';
import { tarOf } from '../../unit/images/archives.ts';

const part = fc.constantFrom('a', 'b', 'c', '.', '..', '', 'l');
const path = fc.array(part, { minLength: 1, maxLength: 6 }).map((parts) => parts.join('/'));
const entry = fc.record({
  name: path,
  type: fc.constantFrom('file', 'directory', 'symlink', 'link', 'fifo', null),
  linkname: path,
});

/** A model of a file system that follows links as an unpacking tar would. */
class Disk {
  readonly #links = new Map<string, string>();

  /** Where a path really is, as components from the archive's root; null when it leaves the root. */
  real(parts: readonly string[], budget = 200): readonly string[] | null {
    let at: string[] = [];
    const todo = [...parts];
    while (todo.length > 0) {
      if (budget-- < 0) return null;
      const next = todo.shift() ?? '';
      if (next === '' || next === '.') continue;
      if (next === '..') {
        if (at.length === 0) return null;
        at = at.slice(0, -1);
        continue;
      }
      const link = this.#links.get([...at, next].join('/'));
      if (link === undefined) at = [...at, next];
      else todo.unshift(...link.split('/'));
    }
    return at;
  }

  link(path: string, target: string): void {
    this.#links.set(path, target);
  }
}

describe('packages', () => {
  it('that are accepted never lead outside a top-level folder, whatever links they hold', () => {
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 12 }), (entries) => {
        const rules = new EntryRules();
        const disk = new Disk();
        for (const raw of entries) {
          let checked: ReturnType<EntryRules['check']>;
          try {
            checked = rules.check(raw);
          } catch (error) {
            expect(error).toBeInstanceOf(WeftError);
            return;
          }
          const parts = checked.path.split('/').filter((one) => one !== '');
          expect(disk.real(parts.slice(0, -1))).toEqual(parts.slice(0, -1));
          if (checked.type === 'symlink' && checked.link !== null) {
            const target = disk.real([...parts.slice(0, -1), ...checked.link.split('/')]);
            // Null may also be a loop of links, which leads nowhere.
            if (target !== null && parts.length > 1) expect(target[0]).toBe(parts[0]);
            disk.link(checked.path, checked.link);
          }
        }
      }),
      { numRuns: 3_000 },
    );
  });

  describe('as damaged bytes', () => {
    let folder: string;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'weft-fuzz-'));
    });
    afterAll(() => rm(folder, { recursive: true, force: true }));

    it('are refused with an error of ours or read to their end', async () => {
      const whole = await tarOf([
        { name: 'web/', type: 'directory' },
        { name: 'web/file', content: 'x'.repeat(700) },
        { name: 'web/link', type: 'symlink', linkname: 'file' },
        { name: `web/${'long'.repeat(40)}`, content: 'y' },
      ]);
      const change = fc.record({ at: fc.nat(whole.length - 1), to: fc.nat(255) });
      const damage = fc.record({
        changes: fc.array(change, { maxLength: 8 }),
        length: fc.nat(whole.length),
        isPackedDamaged: fc.boolean(),
      });
      const file = join(folder, 'p.tar.gz');
      await fc.assert(
        fc.asyncProperty(damage, async ({ changes, length, isPackedDamaged }) => {
          const tar = Buffer.from(whole);
          if (!isPackedDamaged) for (const { at, to } of changes) tar[at] = to;
          const packed = gzipSync(tar.subarray(0, isPackedDamaged ? whole.length : length));
          if (isPackedDamaged) for (const { at, to } of changes) packed[at % packed.length] = to;
          await writeFile(file, packed);
          const outcome = await inspectPackage(file).catch((error: unknown) => error);
          if (outcome instanceof Error)
            expect(outcome).toMatchObject({ name: 'WeftError', code: 'invalid-package' });
        }),
        { numRuns: 200 },
      );
    });
  });
});
