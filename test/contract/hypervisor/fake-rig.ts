import type { DomainSpec, NetworkSpec } from '../../../agent/hypervisor/driver.ts';
import { FakeDriver } from '../../../agent/hypervisor/fake/fake-driver.ts';
import { FakeHypervisor } from '../../../agent/hypervisor/fake/fake-hypervisor.ts';
import { FLEET, type HypervisorRig, OTHER_FLEET } from './rig.ts';

export class FakeRig implements HypervisorRig {
  readonly #hypervisor = new FakeHypervisor();
  readonly driver = new FakeDriver(FLEET, this.#hypervisor);
  readonly neighbour = new FakeDriver(OTHER_FLEET, this.#hypervisor);
  readonly #disks = new Set<string>();
  #count = 0;

  async aGuest(network: NetworkSpec, overrides: Partial<DomainSpec> = {}): Promise<DomainSpec> {
    const number = ++this.#count;
    const overlay = `/pool/${number}.qcow2`;
    this.#disks.add(overlay);
    return {
      name: `contract-${number}`,
      uuid: `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`,
      mark: { fleet: FLEET, id: `crm/web-${number}`, incarnation: 3, kind: 'instance', rebootGeneration: 0 },
      size: { cpus: 1, memoryMiB: 128, cpuQuotaPercent: null },
      architecture: 'x86_64',
      chain: [{ path: overlay, format: 'qcow2' }],
      diskModel: 'virtio',
      diskCache: 'unsafe',
      seedIso: null,
      boot: { method: 'kernel', kernel: '/kernel', initrd: '/initrd', commandLine: 'console=ttyS0' },
      nic: { model: 'virtio', mac: '52:54:00:00:00:01', network: network.name },
      consoleLog: `/run/${number}.log`,
      ...overrides,
    };
  }

  async guestIsUp(): Promise<void> {}

  async bootOf(name: string): Promise<string> {
    return `boot ${this.#hypervisor.domains.get(name)?.boots}`;
  }

  async makeDeaf(): Promise<void> {
    this.driver.obedient = false;
  }

  async pauseGuest(name: string): Promise<void> {
    this.driver.pauseGuest(name, 'user');
  }

  async powerOffGuest(name: string): Promise<void> {
    this.driver.powerOffGuest(name);
  }

  async crashGuest(name: string): Promise<void> {
    this.driver.crashGuest(name);
  }

  async hangGuest(name: string): Promise<void> {
    this.driver.hangGuest(name);
  }

  async resetGuest(name: string): Promise<void> {
    this.driver.resetGuest(name);
  }

  async addUnmarkedDomain(name: string): Promise<void> {
    this.driver.addForeign(name);
  }

  async addUnmarkedNetwork(name: string): Promise<void> {
    this.#hypervisor.networks.set(name, {
      ...{ name, mark: null, bridge: 'br0', gateway: '10.9.9.1', prefix: 24, leases: [], active: true },
    });
  }

  async stopNetwork(name: string): Promise<void> {
    const network = this.#hypervisor.networks.get(name);
    if (network) network.active = false;
  }

  async diskExists(path: string): Promise<boolean> {
    return this.#disks.has(path);
  }

  async close(): Promise<void> {
    await Promise.all([this.driver.close(), this.neighbour.close()]);
  }
}
