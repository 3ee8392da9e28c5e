import type { BuiltImage } from '../../../../images/recipes/contract.ts';

export interface GuestOptions {
  readonly name: string;
  readonly image: BuiltImage;
  /** More of `<devices>`. */
  readonly devices?: string;
}

/** An emulated machine that boots the tests' guest, with a serial console, a screen and the agent's channel. */
export function guestXml({ name, image, devices = '' }: GuestOptions): string {
  return `<domain type='qemu'>
  <name>${name}</name>
  <memory unit='MiB'>192</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    <kernel>${image.kernel}</kernel>
    <initrd>${image.initrd}</initrd>
    <cmdline>${image.traits.commandLine}</cmdline>
  </os>
  <features><acpi/></features>
  <on_reboot>restart</on_reboot>
  <devices>
    <serial type='pty'><target port='0'/></serial>
    <console type='pty'><target type='serial' port='0'/></console>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <video><model type='vga'/></video>
    ${devices}
  </devices>
</domain>`;
}

/** A machine without anything to boot: its firmware finds no disk and waits. */
export function emptyMachineXml(name: string, devices = ''): string {
  return `<domain type='qemu'>
  <name>${name}</name>
  <memory unit='MiB'>32</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>
    <serial type='pty'><target port='0'/></serial>
    ${devices}
  </devices>
</domain>`;
}

/** A machine of the `test` driver. */
export function testMachineXml(name: string): string {
  return `<domain type='test'><name>${name}</name><memory>1024</memory><os><type>hvm</type></os></domain>`;
}
