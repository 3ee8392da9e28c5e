import { mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { deliverPackage } from '../../../agent/guest/deliver-package.ts';
import type { SshSession } from '../../../agent/guest/ssh-session.ts';
import { WeftError } from '../../../agent/kit/errors.ts';
import { exec } from '../../../agent/kit/exec.ts';
import { type Item, writeTarGz } from '../../unit/images/archives.ts';

const SECRET = 'nobody writes here';
const UNPACKERS = [
  ['tar', '-x', '-f', '-', '-C'],
  ['busybox', 'tar', '-x', '-f', '-', '-C'],
] as const;

const part = fc.constantFrom('a', 'b', 'web', '.', '..', '', 'secret', '-x', '$(id)', ' ');
const path = fc
  .tuple(
    fc.constantFrom('web/', 'web/', 'web/', './web/', '/', '../', ''),
    fc.array(part, { minLength: 1, maxLength: 4 }),
  )
  .map(([start, parts]) => start + parts.join('/'));
/** What a user packs: without some of these nothing would ever be delivered. */
const harmless: fc.Arbitrary<Item> = fc.record({
  name: fc.constantFrom('web/a', 'web/b/c', 'web/d', 'other/e'),
  type: fc.constant('file'),
  linkname: fc.constant(''),
  content: fc.constantFrom('', 'x', 'y'.repeat(600)),
  mode: fc.constantFrom(0o644, 0o755),
});
const item: fc.Arbitrary<Item> = fc.record({
  name: path,
  type: fc.constantFrom(
    'file',
    'file',
    'directory',
    'symlink',
    'link',
    'fifo',
    'character-device',
    'block-device',
  ),
  linkname: fc.oneof(
    path,
    fc.array(part, { minLength: 1, maxLength: 5 }).map((parts) => parts.join('/')),
  ),
  content: fc.constantFrom('', 'x', 'y'.repeat(600)),
  mode: fc.constantFrom(0o644, 0o755, 0o4755, 0o777),
});

const of = (one: fc.Arbitrary<Item>) => fc.array(one, { minLength: 1, maxLength: 6 });

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-unpacking-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it('a package that is delivered writes nowhere but in its own folder, whoever unpacks it and whatever it holds', async () => {
  let delivered = 0;
  await fc.assert(
    fc.asyncProperty(fc.oneof(of(item), of(harmless)), fc.nat(1), async (items, which) => {
      const file = await writeTarGz(join(folder, 'p.tar.gz'), items);
      const guest = await mkdtemp(join(folder, 'guest-'));
      const app = join(guest, 'lib/app');
      await mkdir(app, { recursive: true });
      await writeFile(join(guest, 'secret'), SECRET);
      await writeFile(join(guest, 'lib/secret'), SECRET);
      const outcome = await deliverPackage(inFolder(app, UNPACKERS[which] ?? UNPACKERS[0]), {
        file,
        digest: 'sha256:0',
        folder: 'web',
        sftp: false,
      }).catch((error: unknown) => error);
      if (outcome instanceof Error)
        expect(outcome).toMatchObject({ name: 'WeftError', code: 'invalid-package' });
      else delivered++;
      expect((await readdir(guest)).sort()).toEqual(['lib', 'secret']);
      expect((await readdir(join(guest, 'lib'))).sort()).toEqual(['app', 'secret']);
      expect(await readFile(join(guest, 'secret'), 'utf8')).toBe(SECRET);
      expect(await readFile(join(guest, 'lib/secret'), 'utf8')).toBe(SECRET);
      for (const entry of await readdir(app, { recursive: true, withFileTypes: true })) {
        expect(entry.isFile() || entry.isDirectory() || entry.isSymbolicLink()).toBe(true);
        const real = await realpath(join(entry.parentPath, entry.name)).catch(() => app);
        expect(`${real}/`.startsWith(`${app}/`)).toBe(true);
      }
      await rm(guest, { recursive: true });
    }),
    { numRuns: 300 },
  );
  // A check of refusals alone would prove nothing.
  expect(delivered).toBeGreaterThan(20);
});

/** A guest's end of the delivery: whatever arrives is unpacked as root by a real tar. */
function inFolder(app: string, [program, ...args]: readonly string[]): SshSession {
  const run = async (_command: string, { input }: { input: Readable }) => {
    const bytes = await buffer(input);
    const result = await exec(String(program), [...args, app], { input: bytes, timeoutMs: 10_000 }).catch(
      WeftError.from,
    );
    if (result instanceof WeftError) throw new Error(`what was delivered does not unpack: ${result.message}`);
    return result;
  };
  return { run } as unknown as SshSession;
}
