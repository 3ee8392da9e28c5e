import { join } from 'node:path';
import { exec } from '../../agent/kit/exec.ts';
import type { RecipeContext } from './contract.ts';

/**
 * Makes a qcow2 whose whole disk is one ext4 file system (no partition table, so no loop device is needed) with the
 * files of a folder. Identifiers and times are fixed: equal trees give equal images.
 */
export async function buildDisk(
  root: string,
  output: string,
  sizeMiB: number,
  context: RecipeContext,
): Promise<void> {
  const raw = join(context.workFolder, 'disk.raw');
  const options = { timeoutMs: 600_000, signal: context.signal };
  context.onLine('making the file system');
  const identity = '57656674-0000-4000-8000-000000000001';
  const extended = `hash_seed=${identity},root_owner=0:0,lazy_itable_init=1,nodiscard`;
  const features = '^orphan_file,^metadata_csum_seed';
  await exec(
    'mke2fs',
    [
      '-q',
      '-t',
      'ext4',
      '-b',
      '4096',
      '-m',
      '1',
      '-J',
      sizeMiB < 512 ? 'size=4' : 'size=32',
      '-U',
      identity,
      '-L',
      'weft-root',
    ].concat(['-E', extended, '-O', features, '-d', root, raw, `${sizeMiB}M`]),
    { ...options, env: { E2FSPROGS_FAKE_TIME: '1', PATH: '/usr/sbin:/usr/bin:/sbin:/bin' } },
  );
  context.onLine('writing the qcow2');
  await exec('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', '-o', 'compat=1.1', raw, output], options);
  await exec('rm', ['-f', raw], options);
}
