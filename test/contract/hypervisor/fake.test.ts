import { beforeEach, describe, expect, test } from 'vitest';
import { WeftError } from '../../../agent/kit/errors.ts';
import { aNetwork, describeDriver } from './driver-suite.ts';
import { FakeRig } from './fake-rig.ts';

describeDriver('fake', async () => new FakeRig());

describe('the fake driver fails on command', () => {
  const network = aNetwork(1);
  let rig: FakeRig;
  beforeEach(async () => {
    rig = new FakeRig();
    await rig.driver.ensureNetwork(network);
  });

  test('each call once, changing nothing, and the next one works', async () => {
    const { driver } = rig;
    const spec = await rig.aGuest(network, { boot: { method: 'disk', firmware: 'bios' } });
    await driver.startDomain(spec);
    const { name, mark } = spec;
    const calls = {
      listDomains: () => driver.listDomains(),
      markDomain: () => driver.markDomain(name, { ...mark, rebootGeneration: 1 }),
      rebootDomain: () => driver.rebootDomain(name),
      openConsole: () => driver.openConsole(name),
      takeScreenshot: () => driver.takeScreenshot(name),
      listNetworks: () => driver.listNetworks(),
      shutdownDomain: () => driver.shutdownDomain(name),
      resumeDomain: () => driver.resumeDomain(name),
      removeDomain: () => driver.removeDomain(name),
      startDomain: () => driver.startDomain(spec),
      ensureNetwork: () => driver.ensureNetwork(aNetwork(2)),
      removeNetwork: () => driver.removeNetwork(network.name),
    };
    const everything = () =>
      JSON.stringify([[...driver.domains], [...driver.networks]], (key, value) =>
        key === 'consoles' ? null : value,
      );
    const events: unknown[] = [];
    driver.onEvent((event) => events.push(event));
    for (const [call, ask] of Object.entries(calls)) {
      const before = everything();
      events.length = 0;
      driver.failNext(call as keyof typeof calls);
      await expect(ask(), call).rejects.toMatchObject({
        ...{ code: 'hypervisor-failed', message: `${call} fails on command` },
      });
      expect(everything(), call).toBe(before);
      expect(events, call).toEqual([]);
      await ask();
    }
  });

  test('with the errors given, in their order, for that call alone', async () => {
    const { driver } = rig;
    driver.failNext('listDomains', new WeftError('host-unreachable', 'silent'));
    driver.failNext('listDomains', new WeftError('timeout', 'slow'));
    expect(await driver.listNetworks()).toHaveLength(1);
    await expect(driver.listDomains()).rejects.toMatchObject({ code: 'host-unreachable' });
    await expect(driver.listDomains()).rejects.toMatchObject({ code: 'timeout' });
    expect(await driver.listDomains()).toEqual([]);
    expect(driver.calls.map(({ call }) => call)).toEqual([
      ...['ensureNetwork', 'listNetworks', 'listDomains', 'listDomains', 'listDomains'],
    ]);
  });
});
