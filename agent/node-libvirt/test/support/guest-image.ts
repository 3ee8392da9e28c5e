import { createHash } from 'node:crypto';
import { copyFile, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildRecipe, DEFAULT_RECIPE_CACHE } from '../../../../images/recipes/build-recipe.ts';
import type { BuiltImage, Recipe } from '../../../../images/recipes/contract.ts';
import {
  installedVersion,
  kernelPackage,
  unpackPackage,
} from '../../../../images/recipes/debian-packages.ts';
import { installKernel } from '../../../../images/recipes/kernel/install-kernel.ts';
import { collectModules } from '../../../../images/recipes/kernel/modules.ts';
import { exec } from '../../../kit/exec.ts';

const KERNEL = 'linux-image-cloud-amd64';
const MODULES = [
  'virtio_pci',
  'virtio_blk',
  'virtio_net',
  'virtio_console',
  'virtio_balloon',
  'button',
  'evdev',
];

/** The whole guest: a root shell on the serial console, DHCP, the power button, and a responder on the agent's channel. */
const INIT = `#!/bin/sh
export PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sysfs /sys
for module in /modules/*; do insmod $module; done
/bin/agent &
acpid -c /acpi -l /dev/null
ip link set eth0 up && udhcpc -b -q -S -t 20 -T 1 -i eth0 -s /bin/leased >/dev/null 2>&1 &
while true; do
  setsid sh -c 'stty -echo; echo guest ready; exec sh' </dev/ttyS0 >/dev/ttyS0 2>&1
done
`;

const LEASED = `#!/bin/sh
[ "$1" = bound ] && ip addr add "$ip/$mask" dev "$interface"
`;

/**
 * Speaks as much of the guest agent's protocol as libvirt needs to find an agent and to pass one command through. It is
 * no qemu-guest-agent: what it proves is libvirt's channel and our side of it.
 */
const AGENT = `#!/bin/sh
for port in /sys/class/virtio-ports/*; do
  read -r name <$port/name
  [ "$name" = org.qemu.guest_agent.0 ] && device=/dev/\${port##*/}
done
[ -n "$device" ] || exit 0
exec 3<>$device
while true; do
  # Until libvirt has connected to its end, there is nothing to read.
  read -r line <&3 || { usleep 100000; continue; }
  case $line in
    *guest-sync*)
      id=\${line##*\\"id\\":}
      echo "{\\"return\\":\${id%%[!0-9]*}}" >&3 ;;
    *guest-ping*) echo '{"return":{}}' >&3 ;;
    *guest-get-host-name*) echo '{"return":{"host-name":"the-guest"}}' >&3 ;;
    *guest-fsfreeze-freeze*) echo '{"return":2}' >&3 ;;
    *guest-fsfreeze-thaw*) echo '{"return":2}' >&3 ;;
    *guest-sleep*) sleep 60 3<&- ;;
    *) echo '{"error":{"class":"CommandNotFound","desc":"the responder does not know it"}}' >&3 ;;
  esac
done
`;

const PROGRAMS: ReadonlyMap<string, string> = new Map([
  ['init', INIT],
  ['bin/agent', AGENT],
  ['bin/leased', LEASED],
  ['acpi/PWRF/00000080', '#!/bin/sh\npoweroff -f\n'],
]);

const recipe: Recipe = {
  name: 'node-libvirt-guest',
  description:
    'Debian cloud kernel and busybox, all in the initial RAM disk: the guest of the binding’s own tests',
  series: '12',
  traits: {
    architecture: 'x86_64',
    commandLine: 'console=ttyS0 quiet tsc=reliable no_timer_check nokaslr panic=1',
    disk: 'virtio',
    nic: 'virtio',
    seed: 'nocloud',
    sshUser: 'root',
    webServer: 'none',
  },
  async inputs(progress) {
    const kernel = await kernelPackage(KERNEL, progress);
    const texts = createHash('sha256')
      .update(JSON.stringify([...PROGRAMS]))
      .digest('hex');
    return [kernel.name, kernel.version, await installedVersion('busybox-static'), MODULES.join(' '), texts];
  },
  async build(context) {
    const kernel = await kernelPackage(KERNEL, context);
    const unpacked = await unpackPackage(kernel.name, context);
    await installKernel(unpacked, join(context.workFolder, 'kernel'));
    const root = join(context.workFolder, 'root');
    for (const folder of ['bin', 'dev', 'proc', 'sys', 'modules', 'acpi/PWRF'])
      await mkdir(join(root, folder), { recursive: true });
    await copyFile('/bin/busybox', join(root, 'bin/busybox'));
    const { stdout } = await exec('/bin/busybox', ['--list'], { timeoutMs: 10_000 });
    for (const applet of stdout.split('\n'))
      if (applet !== '' && applet !== 'busybox') await symlink('busybox', join(root, 'bin', applet));
    for (const [path, text] of PROGRAMS) await writeFile(join(root, path), text, { mode: 0o755 });
    const modules = await collectModules(join(unpacked, 'lib/modules'), MODULES, ['virtio_console']);
    for (const [index, module] of modules.entries())
      await writeFile(
        join(root, `modules/${String(index).padStart(2, '0')}-${module.name}.ko`),
        module.content,
      );
    const pack = 'find . | cpio --quiet -o -H newc -R 0:0 >../initrd';
    await exec('sh', ['-c', pack], { cwd: root, timeoutMs: 60_000 });
    // A recipe has a disk; this guest needs none.
    await writeFile(join(context.workFolder, 'disk'), '');
    return { disk: 'disk', kernel: 'kernel', initrd: 'initrd' };
  },
};

/** Builds the guest, or takes it from the cache. */
export function guestImage(): Promise<BuiltImage> {
  return buildRecipe(recipe, {
    cacheFolder: DEFAULT_RECIPE_CACHE,
    onLine: () => {},
    signal: AbortSignal.timeout(600_000),
  });
}

/**
 * First sector of a disk whose guest arms the ib700 watchdog for 0 s and stops: `mov dx,0x443; mov al,0x0f; out dx,al;
 * hlt; jmp -3`. Port and values: drivers/watchdog/ib700wdt.c of Linux.
 */
export function watchdogBootSector(): Buffer {
  const sector = Buffer.alloc(512);
  sector.set([0xba, 0x43, 0x04, 0xb0, 0x0f, 0xee, 0xf4, 0xeb, 0xfd]);
  sector.set([0x55, 0xaa], 510);
  return sector;
}
