import { open, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exec } from '../../../agent/kit/exec.ts';
import { ROOT_LABEL } from './guest-files.ts';

const SECTOR = 512;
const MIB_SECTORS = 2048;
const MODULES = ['biosdisk', 'part_msdos', 'ext2', 'normal', 'linux', 'configfile', 'search', 'search_label'];
const CONSOLE_MODULES = ['serial', 'terminal'];
const EARLY = `search --no-floppy --label --set=root ${ROOT_LABEL}
set prefix=($root)/boot/grub
configfile $prefix/grub.cfg
`;

/**
 * A disk that a BIOS boots: a partition table with one ext4 partition that holds the files of `root`, and GRUB in the gap before
 * it. No loop device is needed.
 * @returns path of the raw disk.
 */
export async function makeBootDisk(work: string, root: string, sizeMiB: number): Promise<string> {
  const disk = join(work, 'disk.raw');
  await exec('truncate', ['-s', `${sizeMiB}M`, disk]);
  await exec('sfdisk', ['--quiet', disk], {
    input: `label: dos\nstart=${MIB_SECTORS}, type=83, bootable\n`,
    timeoutMs: 30_000,
  });
  const partition = join(work, 'root.ext4');
  await exec(
    'mke2fs',
    [
      ...['-q', '-t', 'ext4', '-L', ROOT_LABEL, '-m', '1', '-O', '^orphan_file,^metadata_csum_seed'],
      ...['-E', 'root_owner=0:0,lazy_itable_init=1,nodiscard', '-d', root, partition, `${sizeMiB - 1}M`],
    ],
    { timeoutMs: 600_000, env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' } },
  );
  await exec('dd', [`if=${partition}`, `of=${disk}`, 'bs=1M', 'seek=1', 'conv=notrunc,sparse'], {
    timeoutMs: 600_000,
  });
  await rm(partition);
  await installLoader(work, disk);
  return disk;
}

/**
 * What grub-bios-setup does, without a block device: boot.img loads sector 1, where core.img begins; as grub-mkimage makes it,
 * core.img finds its own rest behind itself. Source: GRUB 2.06, boot.S (kernel_sector) and diskboot.S (firstlist).
 */
async function installLoader(work: string, disk: string): Promise<void> {
  const [image, early] = [join(work, 'core.img'), join(work, 'early.cfg')];
  await writeFile(early, EARLY);
  await exec(
    'grub-mkimage',
    ['-O', 'i386-pc', '-o', image, '-p', '/boot/grub', '-c', early, ...MODULES, ...CONSOLE_MODULES],
    { timeoutMs: 60_000 },
  );
  const core = await readFile(image);
  core.writeBigUInt64LE(2n, 0x1f4);
  core.writeUInt16LE(Math.ceil(core.length / SECTOR) - 1, 0x1fc);
  const boot = await readFile('/usr/lib/grub/i386-pc/boot.img');
  boot.writeBigUInt64LE(1n, 0x5c);
  const file = await open(disk, 'r+');
  try {
    // The partition table begins at 0x1b8 of the same sector.
    await file.write(boot, 0, 0x1b8, 0);
    await file.write(core, 0, core.length, SECTOR);
  } finally {
    await file.close();
  }
}
