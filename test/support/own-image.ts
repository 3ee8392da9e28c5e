import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { exec } from '../../agent/kit/exec.ts';
import { debianSources } from '../../images/recipes/debian/sources.ts';
import { candidateVersions } from '../../images/recipes/debian-packages.ts';

/**
 * A cloud image as its users have it: partitioned, with a boot loader of its own for BIOS and UEFI, stock cloud-init and
 * OpenSSH, no account that anybody could log in to. Nothing of it is made for Weft. No loop device is needed.
 */
const CACHE = '/var/cache/weft/own-image';
const PACKAGES = [
  ...[
    'systemd-sysv',
    'udev',
    'dbus',
    'openssh-server',
    'cloud-init',
    'cloud-guest-utils',
    'netplan.io',
    'sudo',
  ],
  ...['iproute2', 'e2fsprogs', 'zstd', 'initramfs-tools', 'linux-image-cloud-amd64'],
];
const SECTOR = 512;
const MIB_SECTORS = 2048;
/** The layout of Debian's own cloud images: BIOS boot partition and EFI system partition first, the root last, so that it can grow. */
const BIOS_BOOT = { start: MIB_SECTORS, sectors: 3 * MIB_SECTORS };
const EFI_SYSTEM = { start: 4 * MIB_SECTORS, sectors: 64 * MIB_SECTORS };
const ROOT = { start: 68 * MIB_SECTORS, sectors: 1536 * MIB_SECTORS };
const DISK_SECTORS = ROOT.start + ROOT.sectors + MIB_SECTORS;

const GRUB_MODULES = [
  'part_gpt',
  'ext2',
  'normal',
  'linux',
  'configfile',
  'search',
  'search_label',
  'serial',
  'terminal',
];
const GRUB_EARLY =
  'search --no-floppy --label --set=root own-root\nset prefix=($root)/boot/grub\nconfigfile $prefix/grub.cfg\n';
const GRUB_CONFIG = `set timeout=0
serial --unit=0 --speed=115200
terminal_output serial
menuentry debian {
  search --no-floppy --label --set=root own-root
  linux /vmlinuz root=LABEL=own-root ro console=tty0 console=ttyS0,115200 quiet
  initrd /initrd.img
}
`;
const FILES: ReadonlyMap<string, string> = new Map([
  [
    'etc/fstab',
    'LABEL=own-root / ext4 rw,discard,errors=remount-ro 0 1\nLABEL=OWN-EFI /boot/efi vfat umask=0077,nofail 0 2\n',
  ],
  ['etc/hostname', 'localhost\n'],
  ['etc/machine-id', ''],
  ['etc/cloud/cloud.cfg.d/01_own.cfg', 'locale: C.UTF-8\n'],
  ['boot/grub/grub.cfg', GRUB_CONFIG],
]);

/** Path of the image as qcow2; built when it is not there yet, which takes about a minute and a half. */
export async function ownCloudImage(say: (line: string) => void = () => undefined): Promise<string> {
  const file = join(CACHE, `debian-12-${await fingerprint(say)}.qcow2`);
  if ((await stat(file).catch(() => null)) !== null) return file;
  await rm(CACHE, { recursive: true, force: true });
  await mkdir(CACHE, { recursive: true });
  const work = await mkdtemp(join(CACHE, 'work-'));
  try {
    await build(work, say);
    await rename(join(work, 'disk.qcow2'), file);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return file;
}

/** The same disk in another format, as other hypervisors keep it. */
export async function convertedImage(
  source: string,
  format: 'vmdk' | 'vhdx' | 'vpc' | 'raw',
  file: string,
): Promise<void> {
  const options = format === 'vmdk' ? ['-o', 'subformat=streamOptimized'] : [];
  await exec('qemu-img', ['convert', '-f', 'qcow2', '-O', format, ...options, source, file], {
    timeoutMs: 120_000,
  });
}

async function fingerprint(say: (line: string) => void): Promise<string> {
  const versions = await candidateVersions(PACKAGES, say);
  const hash = createHash('sha256').update(await readFile(import.meta.filename));
  return hash.update(versions.join('\n')).digest('hex').slice(0, 16);
}

async function build(work: string, say: (line: string) => void): Promise<void> {
  const root = join(work, 'root');
  say('own image: mmdebstrap');
  await exec(
    'mmdebstrap',
    [
      ...['--mode=root', '--variant=minbase', '--format=directory', `--include=${PACKAGES.join(',')}`],
      ...[
        '--dpkgopt=force-unsafe-io',
        '--dpkgopt=path-exclude=/usr/share/doc/*',
        '--dpkgopt=path-exclude=/usr/share/locale/*',
      ],
      ...['bookworm', root, ...(await debianSources(say))],
    ],
    { timeoutMs: 600_000, env: { DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' } },
  );
  for (const key of await readdir(join(root, 'etc/ssh')))
    if (key.startsWith('ssh_host_')) await rm(join(root, 'etc/ssh', key));
  for (const [path, text] of FILES) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  await mkdir(join(root, 'boot/efi'), { recursive: true });
  say('own image: file systems and boot loaders');
  const disk = join(work, 'disk.raw');
  await partition(disk);
  await place(await makeRoot(work, root), disk, ROOT.start);
  await place(await makeEfiSystem(work), disk, EFI_SYSTEM.start);
  await installBiosLoader(work, disk);
  await exec('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', disk, join(work, 'disk.qcow2')], {
    timeoutMs: 120_000,
  });
}

async function partition(disk: string): Promise<void> {
  await exec('truncate', ['-s', String(DISK_SECTORS * SECTOR), disk]);
  const line = (number: number, { start, sectors }: typeof ROOT, type: string) =>
    `${number} : start=${start}, size=${sectors}, type=${type}`;
  const table = [
    'label: gpt',
    line(1, ROOT, '4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709'),
    line(14, BIOS_BOOT, '21686148-6449-6E6F-744E-656564454649'),
    line(15, EFI_SYSTEM, 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B'),
  ];
  await exec('sfdisk', ['--quiet', disk], { input: `${table.join('\n')}\n`, timeoutMs: 30_000 });
}

async function makeRoot(work: string, root: string): Promise<string> {
  const file = join(work, 'root.ext4');
  await exec(
    'mke2fs',
    [
      ...[
        '-q',
        '-t',
        'ext4',
        '-L',
        'own-root',
        '-m',
        '1',
        '-O',
        '^orphan_file,^metadata_csum_seed',
        '-E',
        'root_owner=0:0',
      ],
      ...['-d', root, file, `${(ROOT.sectors * SECTOR) / 1024}k`],
    ],
    { timeoutMs: 120_000, env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' } },
  );
  return file;
}

async function makeEfiSystem(work: string): Promise<string> {
  const file = join(work, 'efi.fat');
  const loader = await grubImage(work, 'x86_64-efi', ['fat', 'efi_gop', 'all_video']);
  await exec('truncate', ['-s', String(EFI_SYSTEM.sectors * SECTOR), file]);
  await exec('mkfs.vfat', ['-F', '32', '-n', 'OWN-EFI', file]);
  await exec('mmd', ['-i', file, '::/EFI', '::/EFI/BOOT']);
  await exec('mcopy', ['-i', file, loader, '::/EFI/BOOT/BOOTX64.EFI']);
  return file;
}

async function grubImage(work: string, target: string, modules: readonly string[]): Promise<string> {
  const [file, early] = [join(work, `grub-${target}`), join(work, 'grub-early.cfg')];
  await writeFile(early, GRUB_EARLY);
  await exec(
    'grub-mkimage',
    ['-O', target, '-o', file, '-p', '/boot/grub', '-c', early, ...GRUB_MODULES, ...modules],
    {
      timeoutMs: 60_000,
    },
  );
  return file;
}

/**
 * What grub-bios-setup does, without a block device: boot.img names the sector of core.img (offset 0x5c), and the first
 * sector of core.img names the rest of it (a block list at 0x1f4). Source: GRUB 2.06, boot.S and diskboot.S.
 */
async function installBiosLoader(work: string, disk: string): Promise<void> {
  const core = await readFile(await grubImage(work, 'i386-pc', ['biosdisk']));
  const boot = await readFile('/usr/lib/grub/i386-pc/boot.img');
  boot.writeBigUInt64LE(BigInt(BIOS_BOOT.start), 0x5c);
  core.writeBigUInt64LE(BigInt(BIOS_BOOT.start + 1), 0x1f4);
  core.writeUInt16LE(Math.ceil(core.length / SECTOR) - 1, 0x1fc);
  const file = await open(disk, 'r+');
  try {
    // The partition table begins at 0x1b8 of the same sector.
    await file.write(boot, 0, 0x1b8, 0);
    await file.write(core, 0, core.length, BIOS_BOOT.start * SECTOR);
  } finally {
    await file.close();
  }
}

async function place(part: string, disk: string, start: number): Promise<void> {
  await exec(
    'dd',
    [`if=${part}`, `of=${disk}`, 'bs=1M', `seek=${start / MIB_SECTORS}`, 'conv=notrunc,sparse'],
    {
      timeoutMs: 120_000,
    },
  );
  await rm(part);
}
