import { createHash } from 'node:crypto';
import { mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { exec } from '../../../agent/kit/exec.ts';
import type { Recipe, RecipeContext, RecipeOutput } from '../contract.ts';
import { candidateVersions, installedVersion, kernelPackage } from '../debian-packages.ts';
import { buildDisk } from '../disk.ts';
import { BOOT_MODULES, buildInitrd, INITRD_INIT, REQUIRED_MODULES } from '../initrd.ts';
import { installKernel } from '../kernel/install-kernel.ts';
import { collectModules } from '../kernel/modules.ts';
import { DEBIAN_PROGRAMS, DEBIAN_SEED_SCRIPT, DEBIAN_TEXTS } from './guest-files.ts';
import { debianSources } from './sources.ts';
import { DISABLED_UNITS, ENABLED_UNITS, MASKED_GENERATORS, MASKED_UNITS } from './units.ts';

const KERNEL = 'linux-image-cloud-amd64';
const PACKAGES = ['systemd-sysv', 'udev', 'dbus', 'acpid', 'openssh-server', 'cloud-init', 'qemu-guest-agent']
  .concat(['nginx-light', 'iproute2', 'iputils-ping', 'isc-dhcp-client', 'systemd-resolved', 'e2fsprogs'])
  .concat(['ca-certificates', 'curl', 'procps', KERNEL]);
/** Nothing reads these in a guest that has a network for them. */
const UNWANTED_PATHS = ['usr/share/doc/*', 'usr/share/man/*', 'usr/share/locale/*', 'usr/share/info/*'];
const SIZE_MIB = 2048;

/** Debian 12 with systemd, OpenSSH, cloud-init, nginx and the guest agent: the platform image of worker and web roles. */
export const debian: Recipe = {
  name: 'debian',
  description: 'Debian 12 with systemd, OpenSSH, cloud-init and nginx, 512 MiB of memory or more',
  series: '12',
  traits: {
    architecture: 'x86_64',
    commandLine:
      'console=ttyS0 quiet tsc=reliable no_timer_check rcupdate.rcu_expedited=1 cryptomgr.notests net.ifnames=0 audit=0 systemd.show_status=0 panic=10',
    disk: 'virtio',
    nic: 'virtio',
    seed: 'nocloud',
    sshUser: 'root',
    webServer: 'nginx',
  },

  async inputs(progress) {
    const kernel = await kernelPackage(KERNEL, progress);
    const versions = await candidateVersions(PACKAGES, progress.onLine);
    const texts = createHash('sha256').update(INITRD_INIT).update(DEBIAN_SEED_SCRIPT);
    for (const [path, text] of [...DEBIAN_PROGRAMS, ...DEBIAN_TEXTS]) texts.update(`${path}\0${text}\0`);
    texts.update(
      JSON.stringify([
        MASKED_UNITS,
        MASKED_GENERATORS,
        DISABLED_UNITS,
        ENABLED_UNITS,
        UNWANTED_PATHS,
        BOOT_MODULES,
      ]),
    );
    const sources = await debianSources(progress.onLine);
    const busybox = await installedVersion('busybox-static');
    return [
      kernel.version,
      busybox,
      ...PACKAGES,
      ...versions,
      ...sources,
      `${SIZE_MIB}`,
      texts.digest('hex'),
    ];
  },

  async build(context): Promise<RecipeOutput> {
    const root = join(context.workFolder, 'root');
    await bootstrap(root, context);
    await installKernel(root, join(context.workFolder, 'kernel'));
    const modules = await collectModules(join(root, 'usr/lib/modules'), BOOT_MODULES, REQUIRED_MODULES);
    await buildInitrd(modules, join(context.workFolder, 'initrd'), context, {
      seedScript: DEBIAN_SEED_SCRIPT,
    });
    await customize(root, context);
    await buildDisk(root, join(context.workFolder, 'disk.qcow2'), SIZE_MIB, context);
    return { disk: 'disk.qcow2', kernel: 'kernel', initrd: 'initrd' };
  },
};

async function bootstrap(root: string, context: RecipeContext): Promise<void> {
  const excluded = UNWANTED_PATHS.map((path) => `--dpkgopt=path-exclude=/${path}`);
  const kept = '--dpkgopt=path-include=/usr/share/doc/*/copyright';
  const packages = `--include=${PACKAGES.join(',')}`;
  const options = ['--mode=root', '--variant=minbase', '--format=directory', packages, ...excluded, kept];
  await exec('mmdebstrap', [...options, 'bookworm', root, ...(await debianSources(context.onLine))], {
    timeoutMs: 1_800_000,
    signal: context.signal,
    onLine: context.onLine,
    env: { DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' },
  });
}

async function customize(root: string, context: RecipeContext): Promise<void> {
  context.onLine('setting the guest up');
  for (const file of await readdir(join(root, 'etc/ssh')))
    if (file.startsWith('ssh_host_')) await rm(join(root, 'etc/ssh', file));
  // The kernel and its initial RAM disk come from outside the disk.
  await rm(join(root, 'boot'), { recursive: true, force: true });
  for (const folder of ['boot', 'var/lib/weft', 'etc/weft', 'root/.ssh'])
    await mkdir(join(root, folder), { recursive: true });
  for (const [path, text] of DEBIAN_TEXTS) await writeText(join(root, path), text, 0o644);
  for (const [path, text] of DEBIAN_PROGRAMS) await writeText(join(root, path), text, 0o755);
  for (const generator of MASKED_GENERATORS)
    await replaceLink(join(root, 'etc/systemd/system-generators', generator), '/dev/null');
  for (const unit of MASKED_UNITS) await replaceLink(join(root, 'etc/systemd/system', unit), '/dev/null');
  await replaceLink(join(root, 'etc/systemd/system/default.target'), '/lib/systemd/system/multi-user.target');
  // What cloud-init's generator would have done; the conditions on its units do the rest.
  const wants = join(root, 'etc/systemd/system/multi-user.target.wants');
  await replaceLink(join(wants, 'cloud-init.target'), '/lib/systemd/system/cloud-init.target');
  // Started by its socket, when someone wants it.
  await rm(join(root, 'usr/lib/systemd/system/multi-user.target.wants/dbus.service'), { force: true });
  const systemctl = (verb: string, units: readonly string[]) =>
    exec('chroot', [root, 'systemctl', verb, '--no-reload', ...units], {
      timeoutMs: 60_000,
      signal: context.signal,
      env: { SYSTEMD_OFFLINE: '1', PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
    });
  await systemctl('disable', DISABLED_UNITS);
  await systemctl('enable', ENABLED_UNITS);
}

async function replaceLink(path: string, target: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await rm(path, { force: true });
  await symlink(target, path);
}

async function writeText(path: string, text: string, mode: number): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await rm(path, { force: true });
  await writeFile(path, text, { mode });
}
