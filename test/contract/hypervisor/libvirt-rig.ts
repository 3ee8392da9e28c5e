import { randomUUID } from 'node:crypto';
import { access, copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pino from 'pino';
import type { DomainSpec, HypervisorDriver, NetworkSpec } from '../../../agent/hypervisor/driver.ts';
import { LibvirtDriver } from '../../../agent/hypervisor/libvirt/libvirt-driver.ts';
import { exec } from '../../../agent/kit/exec.ts';
import { buildRecipe, DEFAULT_RECIPE_CACHE } from '../../../images/recipes/build-recipe.ts';
import type { BuiltImage } from '../../../images/recipes/contract.ts';
import { tiny } from '../../../images/recipes/tiny/recipe.ts';
import { supervisedPid } from '../../lab/host.ts';
import { Lab } from '../../lab/lab.ts';
import { isAlive, recordProcess } from '../../lab/processes.ts';
import { waitFor } from '../../support/wait-for.ts';
import { FLEET, type HypervisorRig, OTHER_FLEET } from './rig.ts';
import { Shell } from './shell.ts';

const GUEST_LIMIT_MS = 60_000;
/** A deaf guest's reset button is pressed after this long. */
const REBOOT_GRACE_MS = 1_500;

/**
 * What a watchdog's driver does at its start, by hand, as this kernel has none: registers 0x60 (the fast clock: about two
 * seconds) and 0x68 (armed) of the i6300ESB. https://www.intel.com/content/dam/doc/datasheet/6300esb-io-controller-hub-datasheet.pdf
 */
export const ARM_WATCHDOG = [
  'cd /sys/bus/pci/devices/0000:00:10.0',
  "printf '\\004\\000' | dd of=config bs=2 seek=48 conv=notrunc",
  "printf '\\002' | dd of=config bs=1 seek=104 conv=notrunc",
].join('; ');

/** A real libvirtd and real guests, in one lab host. */
export class LibvirtRig implements HypervisorRig {
  readonly driver: HypervisorDriver;
  readonly neighbour: HypervisorDriver;
  readonly lab: Lab;
  readonly #image: BuiltImage;
  readonly #uri: string;
  readonly #folder: string;
  #count = 0;

  private constructor(lab: Lab, image: BuiltImage, uri: string, folder: string) {
    this.lab = lab;
    this.#image = image;
    this.#uri = uri;
    this.#folder = folder;
    this.driver = this.openDriver(FLEET);
    this.neighbour = this.openDriver(OTHER_FLEET);
  }

  static async open(name: string): Promise<LibvirtRig> {
    const signal = AbortSignal.timeout(300_000);
    const built = await buildRecipe(tiny, { cacheFolder: DEFAULT_RECIPE_CACHE, onLine: () => {}, signal });
    const lab = await Lab.up({ name, hosts: 1, bare: true });
    try {
      const folder = join(lab.layout.folder, 'guests');
      await mkdir(folder);
      // libvirt gives a guest's files to QEMU's user: copies, so that the cache of images stays as it is.
      const image = { ...built };
      for (const part of ['disk', 'kernel', 'initrd'] as const) {
        image[part] = join(folder, part === 'disk' ? 'base.qcow2' : part);
        await copyFile(built[part], image[part]);
      }
      const init = (await lab.host('h1')).power?.init.pid;
      const uri = `qemu:///system?socket=/proc/${init}/root/run/libvirt/libvirt-sock`;
      return new LibvirtRig(lab, image, uri, folder);
    } catch (error) {
      await lab.down();
      throw error;
    }
  }

  openDriver(fleet: string, omittedCapability?: string): HypervisorDriver {
    return new LibvirtDriver({
      uri: this.#uri,
      fleet,
      // Emulated everywhere: the contract is the same, and it holds on machines without virtualization too.
      abilities: { accelerator: 'tcg', cpuQuota: false },
      log: pino({ level: 'silent' }),
      rebootGraceMs: REBOOT_GRACE_MS,
      ...(omittedCapability === undefined ? {} : { omittedCapability }),
    });
  }

  async aGuest(network: NetworkSpec, overrides: Partial<DomainSpec> = {}): Promise<DomainSpec> {
    const number = ++this.#count;
    const overlay = join(this.#folder, `guest-${number}.qcow2`);
    const backing = ['-f', 'qcow2', '-F', 'qcow2', '-b', this.#image.disk];
    await exec('qemu-img', ['create', '-q', ...backing, overlay], { timeoutMs: 30_000 });
    return {
      name: `contract-${number}`,
      uuid: randomUUID(),
      mark: { fleet: FLEET, id: `crm/web-${number}`, incarnation: 3, kind: 'instance', rebootGeneration: 0 },
      size: { cpus: 1, memoryMiB: 128, cpuQuotaPercent: null },
      architecture: 'x86_64',
      chain: [overlay, this.#image.disk].map((path) => ({ path, format: 'qcow2' })),
      diskModel: 'virtio',
      diskCache: 'unsafe',
      seedIso: null,
      boot: {
        method: 'kernel',
        kernel: this.#image.kernel,
        initrd: this.#image.initrd,
        commandLine: this.#image.traits.commandLine,
      },
      nic: { model: 'virtio', mac: macOf(number), network: network.name },
      consoleLog: join(this.#folder, `guest-${number}.log`),
      ...overrides,
    };
  }

  /** Runs a command on the guest's console. */
  async shell(name: string, command: string): Promise<string> {
    const shell = await Shell.on(this.driver, name);
    return shell.run(command, GUEST_LIMIT_MS).finally(() => shell.close());
  }

  async guestIsUp(name: string): Promise<void> {
    const acpid = () => this.shell(name, 'pidof acpid || echo none');
    await waitFor(`${name} to be up`, acpid, (answer) => /^\d+$/m.test(answer), GUEST_LIMIT_MS);
  }

  async bootOf(name: string): Promise<string> {
    return (await this.shell(name, 'cat /proc/sys/kernel/random/boot_id')).trim();
  }

  async makeDeaf(name: string): Promise<void> {
    await this.shell(name, 'killall acpid');
  }

  async pauseGuest(name: string): Promise<void> {
    await this.virsh('suspend', name);
  }

  async powerOffGuest(name: string): Promise<void> {
    const shell = await Shell.on(this.driver, name);
    // Open until the guest is off: QEMU does not read on from a console that was left.
    await shell.type('\x03poweroff -f\n');
    await shell.ended;
    await shell.close();
  }

  crashGuest(name: string): Promise<void> {
    return this.#type(name, 'echo c >/proc/sysrq-trigger');
  }

  hangGuest(name: string): Promise<void> {
    return this.#type(name, ARM_WATCHDOG);
  }

  resetGuest(name: string): Promise<void> {
    return this.#type(name, 'reboot -f');
  }

  /** Leaves a command to a guest that will not answer any more. */
  async #type(name: string, command: string): Promise<void> {
    const shell = await Shell.on(this.driver, name);
    await shell.run(`{ (sleep 0.2; ${command}) >/dev/null 2>&1 & }`, GUEST_LIMIT_MS);
    await shell.close();
  }

  async addUnmarkedDomain(name: string): Promise<void> {
    const xml = `<domain type='qemu'><name>${name}</name><memory unit='MiB'>32</memory><os><type>hvm</type></os></domain>`;
    await this.virsh('create', await this.#write(xml));
  }

  async addUnmarkedNetwork(name: string): Promise<void> {
    const xml = `<network><name>${name}</name><bridge name='brcontract'/></network>`;
    await this.virsh('net-define', await this.#write(xml));
    await this.virsh('net-start', name);
  }

  async stopNetwork(name: string): Promise<void> {
    await this.virsh('net-destroy', name);
  }

  async diskExists(path: string): Promise<boolean> {
    return access(path).then(
      () => true,
      () => false,
    );
  }

  /** kill -9 of libvirtd; its supervisor starts it again. */
  async killDaemon(): Promise<void> {
    const record = recordProcess(await supervisedPid(await this.lab.host('h1'), 'libvirtd-supervised'));
    process.kill(record.pid, 'SIGKILL');
    await waitFor(
      'libvirtd to end',
      async () => isAlive(record),
      (alive) => !alive,
      10_000,
      20,
    );
  }

  /** What libvirt itself says, past the driver. */
  async virsh(...args: readonly string[]): Promise<string> {
    const command = ['virsh', '--quiet', '--connect', 'qemu:///system', ...args];
    return (await this.lab.exec('h1', command, { timeoutMs: 30_000 })).stdout;
  }

  async #write(xml: string): Promise<string> {
    const file = join(this.#folder, 'unmarked.xml');
    await writeFile(file, xml);
    return file;
  }

  async close(): Promise<void> {
    await Promise.all([this.driver.close(), this.neighbour.close()]);
    await this.lab.down();
  }
}

export const macOf = (number: number) => `52:54:0a:00:00:${number.toString(16).padStart(2, '0')}`;
