import { expect, test } from 'vitest';
import type { NetworkRecord, VmRecord } from '../../../controller/model/records.ts';
import type { Endpoint } from '../../../controller/model/service.ts';
import { networkPartsOf } from '../../../controller/reconciler/network-goals.ts';
import { anApplication, aRole } from '../../support/builders/application.ts';
import { FLEET } from '../../support/builders/goal.ts';
import { aHost } from '../../support/builders/host.ts';
import { aVm } from '../../support/builders/vm.ts';

const ROLES = 100;
const ENDPOINTS = 20;
const HOSTS = 100;

test('an application of 2,000 rules on 100 hosts has all of them, each where it belongs', () => {
  const name = (index: number) => `r${index}`;
  const internal = (role: number, index: number): Endpoint => ({
    ...{
      type: 'internal',
      protocol: index % 2 ? 'udp' : 'tcp',
      port: 1_000 + index,
      targetPort: 1_000 + index,
    },
    from: [name((role + 1 + index) % ROLES)],
  });
  const roles = Array.from({ length: ROLES }, (_, role) => [
    name(role),
    aRole({
      instances: 10,
      endpoints: Object.fromEntries(
        Array.from({ length: ENDPOINTS }, (_, index) => [`e${index}`, internal(role, index)]),
      ),
    }),
  ]);
  const networks = Array.from({ length: ROLES }, (_, role): readonly [string, NetworkRecord] => [
    `crm/${name(role)}`,
    {
      ...{ id: `crm/${name(role)}`, number: role + 1, addresses: {} },
      ...{ cidr: `10.128.${role * 4}.0/22`.replace(/10\.128\.(\d+)/, (_all, third) => upTo(Number(third))) },
      gateway: '10.128.0.1',
    },
  ]);
  const vms = Array.from({ length: ROLES * 10 }, (_, each): readonly [string, VmRecord] => {
    const role = Math.floor(each / 10);
    const [networkId, network] = networks[role] as readonly [string, NetworkRecord];
    const address = network.cidr.replace('.0/22', `.${10 + (each % 10)}`);
    const id = `crm/${name(role)}-${each % 10}`;
    return [
      id,
      aVm({ id, role: name(role), index: each % 10, networkId, address, host: `h${each % HOSTS}` }),
    ];
  });
  const hosts = Array.from({ length: HOSTS }, (_, index) => {
    const host = aHost(`h${index}`, {}, { number: index + 2 });
    const underlay = { address: `192.168.7.${index + 1}`, mtu: 1_500, networks: [] };
    return [host.name, { ...host, offer: { ...host.offer, underlay } }] as never;
  });
  const world = {
    fleet: { uuid: FLEET, epoch: 1, range: '10.128.0.0/10' },
    applications: new Map([['crm', anApplication('crm', { roles: Object.fromEntries(roles) })]]),
    networks: new Map(networks),
    vms: new Map(vms),
    hosts: new Map<string, never>(hosts),
  };
  const seen = new Set<string>();
  for (let index = 0; index < HOSTS; index++) {
    const here = [...world.vms.values()].filter(({ host }) => host === `h${index}`);
    const own = new Set(here.map(({ networkId }) => networkId));
    const { router, backbone } = networkPartsOf(`h${index}`, here, world);
    expect(backbone?.others).toHaveLength(HOSTS - 1);
    for (const flow of router?.flows ?? []) {
      seen.add(flow.id);
      expect(own.has(flow.to) || own.has(flow.from[0] ?? '')).toBe(true);
    }
    // Each of ten roles of its own has 20 endpoints that others come to, and comes to 20 of others.
    const ends = [...own].flatMap((id) => {
      const role = Number(id.slice('crm/r'.length));
      return Array.from({ length: ENDPOINTS }, (_, each) => [
        `crm/r${role}/e${each}`,
        `crm/r${(role - 1 - each + ROLES) % ROLES}/e${each}`,
      ]).flat();
    });
    expect(new Set(router?.flows.map(({ id }) => id))).toEqual(new Set(ends));
    expect(router?.routes.length).toBeGreaterThan(0);
    expect(router?.routes.every(({ host }) => host !== `h${index}`)).toBe(true);
  }
  expect(seen.size).toBe(ROLES * ENDPOINTS);
});

/** The first three numbers of an address so many /24 behind 10.128.0. */
const upTo = (third: number): string => `10.${128 + Math.floor(third / 256)}.${third % 256}`;
