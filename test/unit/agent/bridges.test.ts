import { beforeEach, describe, expect, test } from 'vitest';
import { networkName } from '../../../agent/executor/names.ts';
import { GoalNetworks } from '../../../agent/executor/networks.ts';
import { FakeDriver } from '../../../agent/hypervisor/fake/fake-driver.ts';
import { areOurs } from '../../../agent/network/bridge-ports.ts';
import { bridgeName } from '../../../agent/network/names.ts';
import type { Goal } from '../../../agent/protocol/index.ts';
import { aGoal, aMachineGoal, aVmGoal, FLEET } from '../../support/builders/goal.ts';
import { fakeNetwork } from '../../support/fakes/host-fakes.ts';

const goal = aGoal([aVmGoal()]);
const network = goal.networks[0];
if (network === undefined) throw new Error('the goal has no network');
const bridge = bridgeName(FLEET, network);

let driver: FakeDriver;
let isThere: boolean;
let networks: GoalNetworks;
const calls = () => driver.calls.flatMap(({ call }) => (call.endsWith('Network') ? [call] : []));

beforeEach(() => {
  driver = new FakeDriver(FLEET);
  isThere = true;
  const remake = driver.remakeNetwork.bind(driver);
  driver.remakeNetwork = async (spec) => {
    await remake(spec);
    isThere = true;
  };
  const host = { ...fakeNetwork, hasBridge: async () => isThere };
  networks = new GoalNetworks(driver, host, FLEET, () => undefined);
});

test('a bridge that was deleted is made again, and only that of the goal', async () => {
  networks.apply(goal);
  await networks.ready(network);
  isThere = false;
  expect(networks.remake(['wb0000-1', bridge])).toEqual([bridge]);
  await networks.ready(network);
  expect(calls()).toEqual(['ensureNetwork', 'ensureNetwork', 'remakeNetwork']);
});

test('a bridge in the making is left to it', async () => {
  networks.apply(goal);
  expect(networks.remake([bridge])).toEqual([]);
  await networks.ready(network);
  expect(calls()).toEqual(['ensureNetwork']);
});

test('a network that libvirt takes for active is made anew by the next agent where its bridge is gone', async () => {
  isThere = false;
  networks.apply(goal);
  await networks.ready(network);
  expect(calls()).toEqual(['ensureNetwork', 'remakeNetwork']);
  expect(driver.networks.get(networkName(FLEET, network))?.active).toBe(true);
});

describe('another zone', () => {
  const asking = (zone: string, asked = goal): Goal => ({
    ...asked,
    backbone: { cidr: '10.191.252.0/22' } as NonNullable<Goal['backbone']>,
    router: {
      ...{ subnets: [], flows: [], routes: [], outbound: [] },
      resolver: { zone, servers: ['10.191.252.2'] },
    },
  });
  const two = aGoal([aVmGoal(), aMachineGoal()]);
  const ready = () => Promise.all(two.networks.map((each) => networks.ready(each)));
  const zones = () =>
    two.networks.map((each) => driver.networks.get(networkName(FLEET, each))?.resolver?.zone);

  test('is told to networks by making them anew, one after another, and guests are back before the next one', async () => {
    networks.apply(asking('weft.internal', two));
    await ready();
    let away = 0;
    const done: string[] = [];
    const remake = driver.remakeNetwork;
    driver.remakeNetwork = async (spec) => {
      expect(++away).toBe(1);
      await remake(spec);
      done.push(spec.bridge);
    };
    const host = {
      ...fakeNetwork,
      refresh: async () => {
        await new Promise((resolve) => setImmediate(resolve));
        if (done.length > 0) away = 0;
      },
    };
    networks = new GoalNetworks(driver, host, FLEET, () => undefined);
    networks.apply(asking('weft.internal', two));
    await ready();
    expect(done).toEqual([]);
    networks.apply(asking('lab.test', two));
    await ready();
    expect(zones()).toEqual(['lab.test', 'lab.test']);
    expect(done).toHaveLength(2);
    networks.forget();
    networks.apply(asking('lab.test', two));
    await ready();
    expect(done).toHaveLength(2);
  });

  test('is not told where that would cut a guest off for good, nor where no zone is asked for', async () => {
    networks.apply(asking('weft.internal', two));
    await ready();
    networks.apply(two);
    await ready();
    expect(zones()).toEqual(['weft.internal', 'weft.internal']);
    const host = { ...fakeNetwork, mayRemake: async () => false };
    networks = new GoalNetworks(driver, host, FLEET, () => undefined);
    networks.apply(asking('lab.test', two));
    await ready();
    expect(zones()).toEqual(['weft.internal', 'weft.internal']);
  });

  test('that comes with other leases, or goes again, before its turn is told as it is then', async () => {
    networks.apply(asking('weft.internal'));
    await networks.ready(network);
    let makes = 0;
    const remake = driver.remakeNetwork;
    driver.remakeNetwork = (spec) => {
      makes++;
      return remake(spec);
    };
    networks.apply(asking('one.test'));
    const last = aGoal([aVmGoal(), aVmGoal({ id: 'crm/web-1' })]);
    networks.apply(asking('two.test', last));
    await networks.ready(last.networks[0] ?? network);
    expect(driver.networks.get(networkName(FLEET, network))).toMatchObject({
      resolver: { zone: 'two.test' },
      leases: [expect.anything(), expect.anything()],
    });
    expect(makes).toBe(1);
  });
});

test('what is not to ask for names of the world any more, or may again, is made anew, and knows the zone that it knew', async () => {
  const zone = { zone: 'weft.internal', address: '10.191.252.1' };
  const made = () => driver.networks.get(networkName(FLEET, network));
  const asking: Goal = {
    ...goal,
    backbone: { cidr: '10.191.252.0/22' } as NonNullable<Goal['backbone']>,
    router: {
      ...{ subnets: [], flows: [], routes: [], outbound: [] },
      resolver: { zone: zone.zone, servers: ['10.191.252.2'] },
    },
  };
  const closed = { ...network, namesOnly: true as const };
  networks.apply(asking);
  await networks.ready(network);
  expect(made()).not.toHaveProperty('namesOnly');
  // Where nobody says for the moment which zone it is, the network goes on with the one that it has.
  networks.apply({ ...goal, networks: [closed] });
  await networks.ready(closed);
  expect(made()).toMatchObject({ namesOnly: true, resolver: zone });
  networks.forget();
  networks.apply({ ...asking, networks: [closed] });
  await networks.ready(closed);
  expect(calls().filter((call) => call === 'remakeNetwork')).toHaveLength(1);
  networks.apply(asking);
  await networks.ready(network);
  expect(made()).not.toHaveProperty('namesOnly');
  expect(made()).toMatchObject({ resolver: zone });
});

test('all on a bridge is put back but interfaces of an older agent’s guests', () => {
  const on = (...ports: string[]) => [
    ...ports.map((ifname) => ({ ifname, master: bridge })),
    { ifname: 'vnet7', master: 'virbr0' },
    { ifname: 'eth0' },
  ];
  expect(areOurs(FLEET, bridge, on('wt5eed-0a800005', 'wv5eed-1', `${bridge}-nic`))).toBe(true);
  expect(areOurs(FLEET, bridge, on())).toBe(true);
  for (const stranger of ['vnet0', 'wt0000-0a800005', 'eth1'])
    expect(areOurs(FLEET, bridge, on('wt5eed-0a800005', stranger))).toBe(false);
});

test('what could not be made is tried again at the next look', async () => {
  networks.apply(goal);
  await networks.ready(network);
  isThere = false;
  const remake = driver.remakeNetwork;
  driver.remakeNetwork = async () => {
    throw new Error('libvirt is away');
  };
  networks.remake([bridge]);
  await expect(networks.ready(network)).rejects.toThrow('away');
  driver.remakeNetwork = remake;
  expect(networks.remake([bridge])).toEqual([bridge]);
  await networks.ready(network);
  expect(isThere).toBe(true);
});

test('a bridge is in the making until libvirt is done with it, also where it is made a second time', async () => {
  expect(networks.isMaking(bridge)).toBe(false);
  networks.apply(goal);
  expect(networks.isMaking(bridge)).toBe(true);
  expect(networks.isMaking('wb0000-1')).toBe(false);
  await networks.ready(network);
  expect(networks.isMaking(bridge)).toBe(false);
  isThere = false;
  networks.remake([bridge]);
  expect(networks.isMaking(bridge)).toBe(true);
  await networks.ready(network);
  expect(networks.isMaking(bridge)).toBe(false);
});

test('what could not be made is not in the making any more', async () => {
  driver.ensureNetwork = async () => {
    throw new Error('libvirt is away');
  };
  networks.apply(goal);
  await expect(networks.ready(network)).rejects.toThrow('away');
  expect(networks.isMaking(bridge)).toBe(false);
});
