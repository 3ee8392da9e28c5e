import { nodeFlags } from '../../../../agent/kit/node-flags.ts';
import type { PackageDescription } from '../contract.ts';

export const controllerPackage: PackageDescription = {
  name: 'weft-controller',
  folder: 'controller',
  summary: 'Weft’s controller: decides which host runs which VM',
  description: [
    'The controller keeps applications, golden images and the fleet’s keys, places virtual machines on the hosts that have joined, and heals them. It touches no hypervisor itself.',
    'Hosts go on with what they run while it is away.',
  ],
  depends: ['qemu-utils'],
  recommends: ['weft', 'fence-agents', 'mmdebstrap', 'busybox-static', 'dropbear-bin', 'cpio'].concat([
    'e2fsprogs',
    'xz-utils',
    'debian-archive-keyring',
  ]),
  suggests: ['ipmitool', 'ceph-common', 'dehydrated'],
  programs: [
    {
      command: 'usr/sbin/weft-controller',
      entry: 'controller/main',
      summary: 'decides which host runs which virtual machine',
      nodeFlags: nodeFlags('controller/main'),
    },
  ],
  files: [
    {
      path: 'usr/lib/systemd/system/weft-controller.service',
      source: 'controller/packaging/weft-controller.service',
    },
    {
      path: 'usr/share/weft/controller-default',
      source: 'controller/packaging/default',
    },
    {
      path: 'usr/lib/weft/acme-hook',
      source: 'controller/packaging/acme-hook',
      isProgram: true,
    },
  ],
  scripts: {
    postinst: 'controller/packaging/postinst',
    prerm: 'controller/packaging/prerm',
    postrm: 'controller/packaging/postrm',
  },
};
