import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { exec } from '../../../agent/kit/exec.ts';
import { debianSources } from '../debian/sources.ts';
import { candidateVersions } from '../debian-packages.ts';
import { makeBootDisk } from './boot-disk.ts';
import { BOX_VAGRANTFILE, DISABLED_UNITS, FILES, PACKAGES } from './guest-files.ts';

/** Room for images and disks of VMs; the file holds only what is written. */
const DISK_MIB = 20 * 1024;
/** Raised when the way of building changes without any text or version changing. */
const FORMAT = 1;
const MINUTE_MS = 60_000;

export interface BoxOptions {
  readonly cacheFolder: string;
  readonly onLine: (line: string) => void;
}

/**
 * A Vagrant box (vagrant-libvirt) of Debian 12 with libvirt, QEMU and AppArmor, from this machine's own apt sources. Built once for
 * the same packages and texts. Needs root.
 * @returns path of the `.box`.
 */
export async function buildBox({ cacheFolder, onLine }: BoxOptions): Promise<string> {
  await mkdir(cacheFolder, { recursive: true });
  const box = join(cacheFolder, `weft-host-${await fingerprint(onLine)}.box`);
  if ((await stat(box).catch(() => null)) !== null) return box;
  await removeOthers(cacheFolder);
  const work = await mkdtemp(join(cacheFolder, 'work-'));
  try {
    const root = join(work, 'root');
    await bootstrap(root, onLine);
    await customize(root);
    onLine('making the disk');
    const disk = await makeBootDisk(work, root, DISK_MIB);
    await exec('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', disk, join(work, 'box.img')], {
      timeoutMs: 10 * MINUTE_MS,
    });
    const metadata = { provider: 'libvirt', format: 'qcow2', virtual_size: DISK_MIB / 1024 };
    await writeFile(join(work, 'metadata.json'), `${JSON.stringify(metadata)}\n`);
    await writeFile(join(work, 'Vagrantfile'), BOX_VAGRANTFILE);
    onLine('packing the box');
    const packed = ['-C', work, '-I', 'gzip -1', '-cf', join(work, 'box.tar.gz')];
    await exec('tar', [...packed, 'metadata.json', 'Vagrantfile', 'box.img'], { timeoutMs: 10 * MINUTE_MS });
    await rename(join(work, 'box.tar.gz'), box);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return box;
}

/** Boxes of before, and what a build that was killed has left: it may still have mounts in it, which are not followed. */
async function removeOthers(cacheFolder: string): Promise<void> {
  const others = (await readdir(cacheFolder)).map((name) => join(cacheFolder, name));
  await exec('rm', ['-rf', '--one-file-system', '--', ...others], { timeoutMs: 5 * MINUTE_MS });
}

async function fingerprint(onLine: BoxOptions['onLine']): Promise<string> {
  const versions = await candidateVersions(PACKAGES, onLine);
  return createHash('sha256')
    .update(JSON.stringify([FORMAT, ...FILES, PACKAGES, versions, DISK_MIB, BOX_VAGRANTFILE, DISABLED_UNITS]))
    .digest('hex')
    .slice(0, 16);
}

async function bootstrap(root: string, onLine: (line: string) => void): Promise<void> {
  onLine('mmdebstrap');
  await exec(
    'mmdebstrap',
    [
      ...['--mode=root', '--variant=minbase', '--format=directory', `--include=${PACKAGES.join(',')}`],
      ...['--dpkgopt=force-unsafe-io', '--dpkgopt=path-exclude=/usr/share/man/*'],
      ...['--dpkgopt=path-exclude=/usr/share/locale/*'],
      ...['bookworm', root, ...(await debianSources(onLine))],
    ],
    { timeoutMs: 30 * MINUTE_MS, onLine, env: { DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' } },
  );
}

async function customize(root: string): Promise<void> {
  const inside = (...command: string[]) =>
    exec('chroot', [root, ...command], {
      timeoutMs: MINUTE_MS,
      env: { SYSTEMD_OFFLINE: '1', PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
    });
  for (const key of await readdir(join(root, 'etc/ssh')))
    if (key.startsWith('ssh_host_')) await rm(join(root, 'etc/ssh', key));
  await inside('useradd', '--create-home', '--shell', '/bin/bash', 'vagrant');
  for (const [path, [text, mode]] of FILES) {
    const file = join(root, path);
    await mkdir(dirname(file), { recursive: true });
    await rm(file, { force: true });
    await writeFile(file, text);
    await chmod(file, mode);
  }
  await inside('chmod', '700', '/home/vagrant/.ssh');
  await inside('chown', '-R', 'vagrant:vagrant', '/home/vagrant');
  await inside('systemctl', 'disable', '--no-reload', ...DISABLED_UNITS);
}
