import { afterEach, describe, expect, test } from 'vitest';
import { plan } from '../../controller/reconciler/plan.ts';
import { Simulation } from './support/simulation.ts';

const model = (instances: number, memoryMiB: number) => `
apiVersion: weft/v1
kind: Application
name: shop
roles:
  web: {kind: worker, image: "tiny:stable", size: {cpus: 1, memory: ${memoryMiB}MiB, disk: 256MiB}, instances: ${instances}}
machines:
  db: {image: "tiny:stable", size: {cpus: 1, memory: 128MiB, disk: 256MiB}}
`;

/** Transactions in half a minute in which nothing happens to anything. A few for a wait that ends; not one after another. */
const FEW = 40;

test('heartbeats that say nothing new cost no passes, and a host that falls silent is noticed in time', async () => {
  let passes = 0;
  const quiet = await Simulation.start({
    seed: 7,
    hosts: Array.from({ length: 20 }, () => ({})),
    plan: (...world) => {
      passes++;
      return plan(...world);
    },
  });
  await quiet.operations.apply('shop', model(20, 128), {});
  await quiet.until('ready', ({ vms }) => vms.length > 0 && vms.every(({ state }) => state === 'ready'));
  passes = 0;
  await quiet.run(60_000);
  expect(passes).toBeLessThan(20);
  quiet.hosts[3]?.pause();
  await quiet.run(4_500);
  expect(quiet.records.host('h4')?.state).toBe('down');
  quiet.killController();
});

describe('what cannot be done is waited for at rest', () => {
  let simulation: Simulation | null = null;
  afterEach(() => simulation?.killController());

  const ready = async (options: {
    memoryMiB: number;
    instances: number;
    size: number;
    failureRate?: number;
  }) => {
    simulation = await Simulation.start({
      seed: 7,
      hosts: [{ memoryMiB: options.memoryMiB }, { memoryMiB: options.memoryMiB }],
      failureRate: options.failureRate ?? 0,
    });
    await simulation.operations.apply('shop', model(options.instances, options.size), {});
    if (options.failureRate === undefined)
      await simulation.until(
        'ready',
        ({ vms }) => vms.length > 0 && vms.every(({ state }) => state === 'ready'),
      );
    return simulation;
  };
  const writesIn = async (running: Simulation, forMs: number) => {
    const before = await running.store.revision();
    await running.run(forMs);
    return (await running.store.revision()) - before;
  };

  test('a host that drains and whose instances fit nowhere else', async () => {
    const running = await ready({ memoryMiB: 640, instances: 2, size: 400 });
    await running.operations.setDraining('h1', true);
    await running.run(2_000);
    expect(await writesIn(running, 30_000)).toBeLessThan(FEW);
    const { vms } = running.records;
    expect(vms.every(({ state }) => state === 'ready')).toBe(true);
    const stuck = vms.find(({ host, role }) => host === 'h1' && role !== null);
    expect(JSON.stringify(stuck?.placement?.hosts)).toContain('needs 400 MiB of memory');
    await running.operations.setDraining('h1', false);
  });

  test('a new definition that no host has room for', async () => {
    const running = await ready({ memoryMiB: 640, instances: 2, size: 400 });
    // Written past the operations, which would refuse it.
    const entry = await running.store.get('apps/shop');
    const grown = JSON.parse(JSON.stringify(entry?.value).replaceAll('"memoryMiB":400', '"memoryMiB":4000'));
    await running.store.transact({ puts: [{ key: 'apps/shop', value: grown }] });
    await running.run(2_000);
    expect(await writesIn(running, 30_000)).toBeLessThan(FEW);
  });

  test('instances whose host is gone and that fit nowhere', async () => {
    const running = await ready({ memoryMiB: 640, instances: 2, size: 400 });
    running.hosts[1]?.powerOff();
    await running.run(10_000);
    expect(await writesIn(running, 30_000)).toBeLessThan(FEW);
  });

  test('VMs that fail again and again wait longer each time', async () => {
    const running = await ready({ memoryMiB: 1024, instances: 2, size: 128, failureRate: 1 });
    await running.run(120_000);
    expect(await writesIn(running, 60_000)).toBeLessThan(4 * FEW);
    const { vms } = running.records;
    expect(vms.every(({ failures }) => failures >= 4)).toBe(true);
  });

  test('a machine that fails on a host that drains is tried again there', async () => {
    const running = await ready({ memoryMiB: 1024, instances: 0, size: 128, failureRate: 1 });
    await running.run(3_000);
    for (const host of ['h1', 'h2']) await running.operations.setDraining(host, true);
    const before = running.records.vms.find(({ id }) => id === 'shop/db');
    await running.run(60_000);
    const after = running.records.vms.find(({ id }) => id === 'shop/db');
    expect(after?.incarnation).toBeGreaterThan(before?.incarnation ?? 0);
    expect(after?.host).toBe(before?.host);
  });
});
