import { expect, test } from 'vitest';
import type { Machine } from '../../../controller/model/index.ts';
import { networkPartsOf } from '../../../controller/reconciler/network-goals.ts';
import { aMachine, anApplication, aRole } from '../../support/builders/application.ts';
import { FLEET } from '../../support/builders/goal.ts';
import { aVm } from '../../support/builders/vm.ts';

const subnet = 'crm/machines';
const network = { id: subnet, number: 3, cidr: '10.128.8.0/22', gateway: '10.128.8.1', addresses: {} };

/** @param machines what they say of the world; null: one that is on its way out, and was as a machine is that says nothing. */
function goalOf(machines: Readonly<Record<string, Machine['outbound'] | null>>, undeclared: string[] = []) {
  const names = [...Object.keys(machines), ...undeclared];
  const vms = names.map((name, index) =>
    aVm({
      ...{ id: `crm/${name}`, role: null, index: null, kind: 'machine' as const, networkId: subnet },
      address: `10.128.8.${10 + index}`,
    }),
  );
  const declared = Object.entries(machines).flatMap(([name, outbound]) =>
    outbound === null ? [] : [[name, aMachine(outbound === undefined ? {} : { outbound })] as const],
  );
  const going = Object.keys(machines).filter((name) => machines[name] === null);
  const crm = anApplication(
    'crm',
    { roles: {}, machines: Object.fromEntries(declared) },
    { retiredMachines: Object.fromEntries(going.map((name) => [name, aMachine()])) },
  );
  const world = {
    fleet: { uuid: FLEET, epoch: 1, range: '10.128.0.0/10' },
    applications: new Map([['crm', crm]]),
    networks: new Map([[subnet, network]]),
    hosts: new Map(),
    vms: new Map(vms.map((vm) => [vm.id, vm])),
  };
  const { router, networks } = networkPartsOf('h1', vms, world);
  return {
    outbound: router?.outbound,
    outboundByGuest: router?.outboundByGuest,
    namesOnly: networks.at(0)?.namesOnly,
  };
}
const guest = (last: number, allow: 'all' | string[]) => ({
  ...{ subnet, address: `10.128.8.${last}`, address6: `fd5e:ed00:0:3::${last.toString(16)}`, allow },
});

test('machines of one network that reach the same are a subnet, as an older agent knows it', () => {
  expect(goalOf({ a: undefined, b: undefined })).toEqual({ outbound: [{ subnet, allow: 'all' }] });
  expect(goalOf({ a: ['10.0.0.0/8'], b: ['10.0.0.0/8'] })).toEqual({
    outbound: [{ subnet, allow: ['10.0.0.0/8'] }],
  });
  expect(goalOf({ a: false, b: false })).toEqual({ outbound: [], namesOnly: true });
});

test('machines that reach something else each are told one by one, and nothing of them to an older agent', () => {
  expect(goalOf({ a: false, b: undefined, c: ['10.0.0.0/8'] })).toEqual({
    outbound: [],
    outboundByGuest: [guest(11, 'all'), guest(12, ['10.0.0.0/8'])],
  });
});

test('a machine that drains reaches what it did, and one that is not declared any more nothing', () => {
  expect(goalOf({ a: undefined, b: null })).toEqual({ outbound: [{ subnet, allow: 'all' }] });
  expect(goalOf({ a: undefined }, ['b'])).toEqual({ outbound: [], outboundByGuest: [guest(10, 'all')] });
});

test('names of the world are asked for where any machine of the network is let out, or any of it is named', () => {
  for (const open of [
    { a: false, b: undefined },
    { a: false, b: [] },
    { a: ['10.0.0.0/8'] },
    { a: false, b: null },
  ] as const)
    expect(goalOf(open).namesOnly).toBeUndefined();
  expect(goalOf({ a: false }, ['b']).namesOnly).toBe(true);
  expect(goalOf({}, ['b']).namesOnly).toBe(true);
});

test('names of the world are asked for where a role is let out, and not where it is not, also while it drains', () => {
  const vm = aVm();
  const world = (application: ReturnType<typeof anApplication>) => ({
    fleet: { uuid: FLEET, epoch: 1, range: '10.128.0.0/10' },
    applications: new Map([['crm', application]]),
    networks: new Map([['crm/web', { ...network, id: 'crm/web' }]]),
    hosts: new Map(),
    vms: new Map([[vm.id, vm]]),
  });
  const closed = aRole({ outbound: false });
  const namesOnly = (application: ReturnType<typeof anApplication>) =>
    networkPartsOf('h1', [vm], world(application)).networks[0]?.namesOnly;
  expect(namesOnly(anApplication())).toBeUndefined();
  expect(
    namesOnly(anApplication('crm', { roles: { web: aRole({ outbound: ['10.0.0.0/8'] }) } })),
  ).toBeUndefined();
  expect(namesOnly(anApplication('crm', { roles: { web: closed } }))).toBe(true);
  expect(namesOnly(anApplication('crm', { roles: {} }, { retired: { web: closed } }))).toBe(true);
  expect(namesOnly(anApplication('crm', { roles: {} }, { retired: { web: aRole() } }))).toBeUndefined();
});
