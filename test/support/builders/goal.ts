import type { Goal, NetworkGoal, VmGoal } from '../../../agent/protocol/index.ts';

export const FLEET = '5eed0000-0000-4000-8000-000000000001';
const DIGEST = `sha256:${'a'.repeat(64)}`;

/** A running tiny worker instance, unless told otherwise. */
export function aVmGoal(overrides: Partial<VmGoal> = {}): VmGoal {
  return {
    id: 'crm/web-0',
    app: 'crm',
    role: 'web',
    index: 0,
    kind: 'worker',
    incarnation: 1,
    power: 'running',
    rebootGeneration: 0,
    image: {
      name: 'tiny',
      version: '1',
      layers: [{ digest: DIGEST, sizeBytes: 1024, virtualSizeBytes: 64 * 2 ** 20 }],
      architecture: 'x86_64',
      boot: {
        method: 'kernel',
        kernel: { digest: DIGEST, sizeBytes: 10 },
        initrd: { digest: DIGEST, sizeBytes: 10 },
        commandLine: 'console=ttyS0',
      },
      disk: 'virtio',
      nic: 'virtio',
      seed: 'nocloud',
      sshUser: 'root',
      webServer: 'busybox-httpd',
    },
    size: { cpus: 1, memoryMiB: 128, diskMiB: 256 },
    pool: 'local',
    diskIncarnation: 0,
    nic: { networkId: 'crm/web', mac: '52:54:0a:80:00:05', address: '10.128.0.5' },
    workload: {
      startup: [],
      package: null,
      start: null,
      env: {},
      site: null,
      endpoints: [],
    },
    peers: {},
    ...overrides,
  };
}

export function aMachineGoal(overrides: Partial<VmGoal> = {}): VmGoal {
  return aVmGoal({
    id: 'crm/db',
    role: null,
    index: null,
    kind: 'machine',
    nic: { networkId: 'crm/machines', mac: '52:54:0a:80:04:05', address: '10.128.4.5' },
    ...overrides,
  });
}

function aNetworkGoal(vms: readonly VmGoal[], id: string, number: number): NetworkGoal {
  return {
    id,
    number,
    cidr: `10.128.${4 * (number - 1)}.0/22`,
    gateway: `10.128.${4 * (number - 1)}.1`,
    leases: vms
      .filter((vm) => vm.nic.networkId === id)
      .map((vm) => ({ vmId: vm.id, mac: vm.nic.mac, address: vm.nic.address, hostname: 'guest' })),
  };
}

/** A goal that names these VMs and the networks they are on. */
export function aGoal(vms: readonly VmGoal[], overrides: Partial<Goal> = {}): Goal {
  const ids = [...new Set(vms.map((vm) => vm.nic.networkId))];
  return {
    type: 'goal',
    fleet: FLEET,
    epoch: 1,
    revision: 1,
    atMs: 0,
    vms: [...vms],
    networks: ids.map((id, index) => aNetworkGoal(vms, id, index + 1)),
    prefetch: [],
    tombstones: [],
    superseded: [],
    ...overrides,
  };
}
