import type { PackageDescription } from '../contract.ts';

export const cliPackage: PackageDescription = {
  name: 'weft',
  folder: 'cli',
  summary: 'command line of Weft, a fabric controller for QEMU/KVM hosts',
  description: ['The weft command, which talks to a controller’s API from any machine.'],
  depends: [],
  recommends: [],
  suggests: [],
  programs: [
    {
      command: 'usr/bin/weft',
      entry: 'controller/cli/main',
      summary: 'command line of the fabric controller Weft',
      nodeFlags: [],
    },
  ],
  files: [
    {
      path: 'usr/share/weft/service.schema.json',
      source: 'controller/model/service.schema.json',
    },
  ],
  scripts: {},
};
