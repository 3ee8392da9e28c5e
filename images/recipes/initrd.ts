import { copyFile, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exec } from '../../agent/kit/exec.ts';
import type { RecipeContext } from './contract.ts';
import type { KernelModule } from './kernel/modules.ts';

/** Modules that a guest needs to find its disk, its seed and its network. */
export const BOOT_MODULES = ['virtio_pci', 'virtio_blk', 'virtio_net', 'isofs'] as const;
export const REQUIRED_MODULES = ['virtio_pci', 'virtio_blk', 'virtio_net'] as const;

/** Commands that a seed script may use, besides the shell's own. */
const APPLETS = ['sh', 'cat', 'ip', 'mkdir', 'mount', 'rm', 'umount'] as const;

/**
 * First process of our images: loads the modules in order, mounts the disk (an ext4 file system without a partition table) and hands
 * over to its /sbin/init. A disk that does not come is said on the console, and the guest powers off rather than hang.
 * @param disk how the disk is found: commands that succeed when it is there, and its device for a shell.
 */
const composeInit = (disk: {
  readonly isThere: string;
  readonly device: string;
  readonly name: string;
}) => `#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
for module in /modules/*; do /bin/busybox insmod $module; done
tries=0
until ${disk.isThere}; do
  tries=$((tries + 1))
  if [ $tries -gt 100 ]; then
    echo 'weft: no disk ${disk.name}'
    /bin/busybox poweroff -f
  fi
  /bin/busybox usleep 50000
done
if ! /bin/busybox mount -t ext4 -o noatime ${disk.device} /root; then
  echo 'weft: ${disk.name} holds no ext4 file system'
  /bin/busybox sleep 5
  /bin/busybox poweroff -f
fi
[ -f /seed ] && . /seed
/bin/busybox mount -o move /dev /root/dev
exec /bin/busybox switch_root /root /sbin/init
`;

/** For a guest whose disk is the first virtio disk. */
export const INITRD_INIT = composeInit({
  isThere: '[ -b /dev/vda ]',
  device: '/dev/vda',
  name: '/dev/vda',
});

/** For a guest whose disk is the first virtio or SATA disk. */
export const INITRD_INIT_ANY_DISK = composeInit({
  isThere: '{ disk=/dev/vda; [ -b $disk ]; } || { disk=/dev/sda; [ -b $disk ]; }',
  device: '$disk',
  name: '/dev/vda or /dev/sda',
});

/**
 * Packs an uncompressed cpio archive: unpacking would cost an emulated processor more than the bytes cost the host.
 * @param seedScript read by the shell once the disk is mounted at /root.
 */
export async function buildInitrd(
  modules: readonly KernelModule[],
  output: string,
  context: RecipeContext,
  { seedScript = null, init = INITRD_INIT }: { seedScript?: string | null; init?: string } = {},
): Promise<void> {
  const root = join(context.workFolder, 'initrd-root');
  const folders = ['bin', 'dev', 'modules', 'proc', 'root', 'seed-disk', 'sys'];
  for (const folder of folders) await mkdir(join(root, folder), { recursive: true });
  await copyFile('/bin/busybox', join(root, 'bin/busybox'));
  await writeFile(join(root, 'init'), init, { mode: 0o755 });
  const files = ['init', 'bin/busybox'];
  for (const applet of APPLETS) {
    await symlink('busybox', join(root, 'bin', applet));
    files.push(`bin/${applet}`);
  }
  if (seedScript !== null) {
    await writeFile(join(root, 'seed'), seedScript);
    files.push('seed');
  }
  for (const [index, module] of modules.entries()) {
    const file = `modules/${String(index).padStart(2, '0')}-${module.name}.ko`;
    await writeFile(join(root, file), module.content);
    files.push(file);
  }
  await exec('find', [root, '-exec', 'touch', '-h', '-d', '@0', '{}', '+'], { timeoutMs: 60_000 });
  await exec('cpio', ['--quiet', '-o', '-H', 'newc', '--reproducible', '-R', '0:0', '-F', output], {
    cwd: root,
    input: `${[...folders, ...files].join('\n')}\n`,
    timeoutMs: 60_000,
    signal: context.signal,
  });
}
