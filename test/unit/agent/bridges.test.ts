import { beforeEach, expect, test } from 'vitest';
import { networkName } from '../../../agent/executor/names.ts';
import { GoalNetworks } from '../../../agent/executor/networks.ts';
import { FakeDriver } from '../../../agent/hypervisor/fake/fake-driver.ts';
import { bridgeName } from '../../../agent/network/names.ts';
import { aGoal, aVmGoal, FLEET } from '../../support/builders/goal.ts';
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
