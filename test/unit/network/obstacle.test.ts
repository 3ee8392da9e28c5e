import { expect, test } from 'vitest';
import { range6Of } from '../../../agent/kit/addressing.ts';
import { obstacleOf } from '../../../controller/network/obstacle.ts';
import type { NetworkWorld } from '../../../controller/reconciler/network-world.ts';
import { FLEET } from '../../support/builders/goal.ts';
import { aHost } from '../../support/builders/host.ts';

const host = aHost('h1');
const world: NetworkWorld = {
  fleet: {
    ...{ uuid: FLEET, epoch: 1, range: '10.128.0.0/10' },
    ...{ public: ['192.0.2.200-192.0.2.203/24'], devices: ['198.51.100.9'] },
  },
  applications: new Map(),
  networks: new Map(),
  vms: new Map(),
  hosts: new Map([
    [
      'h1',
      {
        ...host,
        offer: host.offer && {
          ...host.offer,
          fence: [{ agent: 'fence_ipmilan', options: { ip: '198.51.100.7' } }] as never,
          underlay: { address: '192.0.2.1', mtu: 1_500, networks: [], own: ['198.51.100.1', '192.0.2.201'] },
        },
      },
    ],
  ]),
};

test.each([
  ['169.254.169.254', 'is link-local: no guest reaches it'],
  ['fe80::1', 'is link-local: no guest reaches it'],
  ['10.128.200.1', "is of the fleet's own range: guests reach there what endpoints let them reach"],
  [
    range6Of(FLEET).replace('/48', '7'),
    "is of the fleet's own range: guests reach there what endpoints let them reach",
  ],
  ['192.0.2.1', 'is an address of h1: no guest reaches it'],
  ['198.51.100.1', 'is an address of h1: no guest reaches it'],
  ['192.0.2.201', 'is a public address of the fleet: no guest reaches it'],
  ['198.51.100.7', "is a fence device's: no guest reaches it"],
  ['198.51.100.9', "is the controller's, or a fence device's that it alone knows: no guest reaches it"],
  ['203.0.113.1', null],
])('%s, which guests do not reach, is told as what it is: %s', (address, reason) => {
  expect(obstacleOf(address, [], [], world)).toBe(reason === null ? null : `${address} ${reason}`);
});
