import { nodeFlags } from '../../../../agent/kit/node-flags.ts';
import type { PackageDescription } from '../contract.ts';

export const agentPackage: PackageDescription = {
  name: 'weft-agent',
  folder: 'agent',
  summary: 'Weft on a hypervisor host: runs the VMs that the controller wants',
  description: [
    'The agent joins a fleet with a one-use token and keeps the virtual machines of this host as the controller of that fleet wants them, through libvirt and QEMU.',
    'Stopping, upgrading or removing it stops no virtual machine.',
  ],
  depends: ['libvirt-daemon-system', 'qemu-system-x86', 'qemu-utils', 'dnsmasq-base', 'genisoimage'].concat([
    'iproute2',
    'nftables',
  ]),
  recommends: [
    ...['apparmor', 'conntrack', 'haproxy', 'keepalived', 'knot', 'knot-dnsutils'],
    ...['libvirt-clients', 'ovmf', 'qemu-block-extra', 'radvd', 'wireguard-tools'],
  ],
  suggests: ['nfs-common', 'ceph-common', 'wireguard-go'],
  programs: [
    {
      command: 'usr/sbin/weft-agent',
      entry: 'agent/main',
      summary: 'keeps the virtual machines of a host as its controller wants them',
      nodeFlags: nodeFlags('agent/main'),
    },
    {
      command: 'usr/sbin/weft-guard',
      entry: 'agent/guard/main',
      summary: 'stops machines on shared pools when the lease of their host ends',
      nodeFlags: nodeFlags('agent/guard/main'),
    },
  ],
  files: [
    {
      path: 'usr/lib/systemd/system/weft-agent.service',
      source: 'agent/packaging/weft-agent.service',
    },
    {
      path: 'usr/lib/systemd/system/weft-guard.service',
      source: 'agent/packaging/weft-guard.service',
    },
    { path: 'usr/share/weft/agent.yaml', source: 'agent/packaging/agent.yaml' },
  ],
  scripts: {
    postinst: 'agent/packaging/postinst',
    prerm: 'agent/packaging/prerm',
    postrm: 'agent/packaging/postrm',
  },
};
