import { stringify } from 'yaml';
import type { NetworkGoal, VmGoal, VmSecrets } from '../protocol/index.ts';
import type { SeedFiles } from './contract.ts';

const guestName = (vmId: string) => vmId.slice(vmId.indexOf('/') + 1);

/**
 * The NoCloud seed of a VM: what cloud-init reads, and the same in plain files under `weft/` for guests that have no parser.
 * An instance is a new one for cloud-init at each incarnation, a machine stays the same.
 */
export function composeSeed(input: {
  readonly vm: VmGoal;
  readonly network: NetworkGoal;
  readonly secrets: VmSecrets;
  readonly fleet: string;
  /** Absent: the guest's own choice. */
  readonly mtu?: number | undefined;
}): SeedFiles {
  const { vm, network, secrets, fleet, mtu } = input;
  const six = addressing6(vm, network);
  const life = vm.kind === 'machine' ? 'machine' : String(vm.incarnation);
  const hostname = guestName(vm.id);
  const prefix = network.cidr.split('/')[1] ?? '22';
  const userKey = secrets.userPublicKey.trim();
  const hostKey = secrets.hostPublicKey.trim();
  return new Map([
    [
      'meta-data',
      `${JSON.stringify({ 'instance-id': `${fleet}-${vm.id.replace('/', '-')}-${life}`, 'local-hostname': hostname })}\n`,
    ],
    [
      'user-data',
      `#cloud-config\n${stringify({
        disable_root: false,
        ssh_pwauth: false,
        users: [
          'default',
          {
            name: vm.image.sshUser,
            ssh_authorized_keys: [userKey],
            lock_passwd: true,
            sudo: 'ALL=(ALL) NOPASSWD:ALL',
          },
        ],
        ssh_authorized_keys: [userKey],
        ssh_deletekeys: true,
        ssh_keys: { ed25519_private: secrets.hostPrivateKey, ed25519_public: hostKey },
      })}`,
    ],
    [
      'network-config',
      stringify({
        version: 2,
        ethernets: {
          guest0: {
            match: { macaddress: vm.nic.mac },
            // Not every renderer of cloud-init follows the address: ifupdown and sysconfig need a name.
            'set-name': 'eth0',
            addresses: [`${vm.nic.address}/${prefix}`, ...(six ? [`${six.address}/${six.prefix}`] : [])],
            routes: [
              { to: '0.0.0.0/0', via: network.gateway },
              ...(six ? [{ to: '::/0', via: six.gateway }] : []),
            ],
            // What is advertised is for guests that read no seed: this one has all of it already.
            ...(six ? { 'accept-ra': false } : {}),
            ...(mtu === undefined ? {} : { mtu }),
            nameservers: { addresses: [network.gateway] },
          },
        },
      }),
    ],
    ['weft/authorized_keys', `${userKey}\n`],
    ['weft/host_ed25519', secrets.hostPrivateKey],
    ['weft/host_ed25519.pub', `${hostKey}\n`],
    ['weft/hostname', `${hostname}\n`],
    [
      'weft/network',
      [
        `ADDRESS=${vm.nic.address}`,
        `PREFIX=${prefix}`,
        `GATEWAY=${network.gateway}`,
        `DNS=${network.gateway}`,
        `MAC=${vm.nic.mac}`,
        ...(six ? [`ADDRESS6=${six.address}`, `PREFIX6=${six.prefix}`, `GATEWAY6=${six.gateway}`] : []),
        ...(mtu === undefined ? [] : [`MTU=${mtu}`]),
        '',
      ].join('\n'),
    ],
  ]);
}

/** Null: the controller is older than IPv6. */
function addressing6({ nic }: VmGoal, { cidr6, gateway6 }: NetworkGoal) {
  if (nic.address6 === undefined || cidr6 === undefined || gateway6 === undefined) return null;
  return { address: nic.address6, prefix: cidr6.split('/')[1] ?? '64', gateway: gateway6 };
}
