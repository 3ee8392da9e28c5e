import { createHash } from 'node:crypto';
import { copyFile, mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { exec } from '../../../agent/kit/exec.ts';
import type { Recipe, RecipeContext, RecipeOutput } from '../contract.ts';
import { candidateVersions, installedVersion, kernelPackage, unpackPackage } from '../debian-packages.ts';
import { buildDisk } from '../disk.ts';
import { BOOT_MODULES, buildInitrd, INITRD_INIT, INITRD_INIT_ANY_DISK, REQUIRED_MODULES } from '../initrd.ts';
import { installKernel } from '../kernel/install-kernel.ts';
import { collectModules } from '../kernel/modules.ts';
import { copyProgram } from '../shared-libraries.ts';
import { TINY_FULL_PROGRAMS, TINY_FULL_TEXTS } from './full-guest-files.ts';
import { TINY_PROGRAMS, TINY_TEXTS } from './guest-files.ts';

const LATER_MODULES = ['button', 'evdev', 'virtio_rng', 'pvpanic_mmio'] as const;
const PROGRAMS = [
  ['/usr/sbin/dropbear', 'dropbear'],
  ['/usr/bin/dropbearconvert', 'dropbearconvert'],
  ['/usr/bin/dropbearkey', 'dropbearkey'],
  ['/sbin/resize2fs', 'resize2fs'],
] as const;
const FOLDERS = ['dev', 'proc', 'sys', 'run', 'tmp', 'root/.ssh', 'mnt', 'etc/dropbear', 'etc/weft'].concat([
  'var/lib/weft',
  'var/log',
  'lib/modules/later',
  'usr',
  'srv',
  'opt',
]);
const SIZE_MIB = 128;

/** One guest of this kind: its kernel, and what it has besides busybox and dropbear. */
interface TinyVariant {
  readonly name: string;
  readonly description: string;
  /** Debian's meta package. */
  readonly kernel: string;
  readonly init: string;
  readonly bootModules: readonly string[];
  readonly requiredModules: readonly string[];
  readonly laterModules: readonly string[];
  readonly texts: ReadonlyMap<string, string>;
  /** Path → shell script. */
  readonly programs: ReadonlyMap<string, string>;
  /** Programs of packages that this machine need not have installed. */
  readonly packaged: readonly { readonly package: string; readonly file: string; readonly name: string }[];
}

/** Debian's cloud kernel, busybox and dropbear: the smallest guest that takes SSH, for labs and fast tests. */
export const tiny: Recipe = tinyRecipe({
  name: 'tiny',
  description: 'Debian cloud kernel with busybox and dropbear, 128 MiB of memory',
  kernel: 'linux-image-cloud-amd64',
  init: INITRD_INIT,
  bootModules: BOOT_MODULES,
  requiredModules: REQUIRED_MODULES,
  laterModules: LATER_MODULES,
  texts: TINY_TEXTS,
  programs: TINY_PROGRAMS,
  packaged: [],
});

/**
 * The same with Debian's full kernel, which has drivers for the watchdog and for SATA disks that its cloud kernel lacks, and with the guest
 * agent. It starts slower.
 */
export const tinyFull: Recipe = tinyRecipe({
  name: 'tiny-full',
  description: 'as tiny, with the full kernel, the guest agent and a watchdog that is fed, 128 MiB of memory',
  kernel: 'linux-image-amd64',
  init: INITRD_INIT_ANY_DISK,
  bootModules: [...BOOT_MODULES, 'crc32c_generic', 'ext4', 'ahci', 'sd_mod', 'sr_mod', 'e1000e'],
  requiredModules: [...REQUIRED_MODULES, 'ext4', 'ahci', 'sd_mod', 'e1000e'],
  laterModules: [...LATER_MODULES, 'virtio_console', 'i6300esb'],
  texts: TINY_FULL_TEXTS,
  programs: TINY_FULL_PROGRAMS,
  packaged: [{ package: 'qemu-guest-agent', file: 'usr/sbin/qemu-ga', name: 'qemu-ga' }],
});

function tinyRecipe(variant: TinyVariant): Recipe {
  return {
    name: variant.name,
    description: variant.description,
    series: '12',
    traits: {
      architecture: 'x86_64',
      commandLine:
        'console=ttyS0 quiet tsc=reliable no_timer_check noreplace-smp nokaslr rcupdate.rcu_expedited=1 cryptomgr.notests i8042.noaux 8250.nr_uarts=1 panic=10',
      disk: 'virtio',
      nic: 'virtio',
      seed: 'nocloud',
      sshUser: 'root',
      webServer: 'busybox-httpd',
    },

    async inputs(progress) {
      const kernel = await kernelPackage(variant.kernel, progress);
      const packages = ['busybox-static', 'dropbear-bin', 'libc6', 'e2fsprogs'];
      const packaged = variant.packaged.map((each) => each.package);
      const versions = [
        ...(await Promise.all(packages.map(installedVersion))),
        ...(await candidateVersions(packaged, progress.onLine)),
      ];
      const texts = createHash('sha256').update(variant.init);
      for (const [path, text] of [...variant.programs, ...variant.texts]) texts.update(`${path}\0${text}\0`);
      const modules = [...variant.bootModules, ...variant.laterModules].join(' ');
      return [kernel.name, kernel.version, ...versions, modules, `${SIZE_MIB}`, texts.digest('hex')];
    },

    async build(context): Promise<RecipeOutput> {
      const kernel = await kernelPackage(variant.kernel, context);
      const unpacked = await unpackPackage(kernel.name, context);
      await installKernel(unpacked, join(context.workFolder, 'kernel'));
      const drivers = join(unpacked, 'lib/modules');
      context.onLine('packing the initial RAM disk');
      const boot = await collectModules(drivers, variant.bootModules, variant.requiredModules);
      await buildInitrd(boot, join(context.workFolder, 'initrd'), context, { init: variant.init });
      const root = await buildRoot(variant, context, drivers, new Set(boot.map((module) => module.name)));
      await buildDisk(root, join(context.workFolder, 'disk.qcow2'), SIZE_MIB, context);
      return { disk: 'disk.qcow2', kernel: 'kernel', initrd: 'initrd' };
    },
  };
}

async function buildRoot(
  variant: TinyVariant,
  context: RecipeContext,
  drivers: string,
  loadedAtBoot: ReadonlySet<string>,
): Promise<string> {
  const root = join(context.workFolder, 'root');
  for (const folder of FOLDERS) await mkdir(join(root, folder), { recursive: true });
  await exec('chmod', ['0700', join(root, 'root'), join(root, 'root/.ssh')], { timeoutMs: 10_000 });
  await exec('chmod', ['1777', join(root, 'tmp')], { timeoutMs: 10_000 });
  await installBusybox(root);
  for (const [program, name] of PROGRAMS) await copyProgram(program, name, root);
  for (const { package: from, file, name } of variant.packaged)
    await copyProgram(join(await unpackPackage(from, context), file), name, root);
  const later = (await collectModules(drivers, variant.laterModules, [])).filter(
    (module) => !loadedAtBoot.has(module.name),
  );
  for (const [index, module] of later.entries()) {
    const file = `lib/modules/later/${String(index).padStart(2, '0')}-${module.name}.ko`;
    await writeFile(join(root, file), module.content);
  }
  for (const [path, text] of variant.texts) await writeText(join(root, path), text, 0o644);
  for (const [path, text] of variant.programs) await writeText(join(root, path), text, 0o755);
  return root;
}

/** One binary, and a link to it for each of its commands; /sbin and /usr/bin are the same folder. */
async function installBusybox(root: string): Promise<void> {
  await mkdir(join(root, 'bin'), { recursive: true });
  await copyFile('/bin/busybox', join(root, 'bin/busybox'));
  const { stdout } = await exec('/bin/busybox', ['--list'], { timeoutMs: 10_000 });
  for (const applet of stdout.split('\n'))
    if (applet !== '' && applet !== 'busybox') await symlink('busybox', join(root, 'bin', applet));
  await symlink('bin', join(root, 'sbin'));
  await symlink('../bin', join(root, 'usr/bin'));
  await symlink('../bin', join(root, 'usr/sbin'));
}

async function writeText(path: string, text: string, mode: number): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text, { mode });
}
