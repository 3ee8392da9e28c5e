import { afterEach, describe, expect, test } from 'vitest';
import { convergedUnder } from './support/converged.ts';
import { Simulation } from './support/simulation.ts';

const MODEL = `
apiVersion: weft/v1
kind: Application
name: shop
roles:
  web: {kind: worker, image: "tiny:stable", size: {cpus: 1, memory: 128MiB, disk: 256MiB}, instances: 3}
machines:
  db: {image: "tiny:stable", size: {cpus: 1, memory: 128MiB, disk: 256MiB}}
  files: {image: "tiny:stable", size: {cpus: 1, memory: 128MiB, disk: 256MiB}}
`;
const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8];

describe('a store that was lost', () => {
  let simulation: Simulation | null = null;
  afterEach(() => simulation?.killController());

  const running = async (seed: number) => {
    simulation = await Simulation.start({ seed, hosts: [{}, {}, {}] });
    await simulation.operations.apply('shop', MODEL, {});
    const { hosts } = simulation;
    await simulation.until(
      'everything to run',
      (records) => records.vms.length === 5 && convergedUnder(records, hosts),
    );
    // Incarnations above 1, so that a fresh store is behind its hosts.
    for (const id of ['shop/web-0', 'shop/web-1', 'shop/web-2']) await simulation.operations.reimage(id);
    await simulation.run(1_000);
    await simulation.until('everything to run again', (records) => convergedUnder(records, hosts));
    return simulation;
  };
  const homes = ({ hosts }: Simulation) =>
    hosts.map(({ name, machineDisks }) => `${name} ${[...machineDisks].sort().join()}`);

  test.each(SEEDS)(
    'costs no machine its disk, and the model finds everything again (seed %i)',
    async (seed) => {
      const fabric = await running(seed);
      const before = homes(fabric);
      await fabric.loseStore();
      await fabric.startController();
      await fabric.run(60_000);
      expect(homes(fabric)).toEqual(before);
      expect(fabric.hosts.flatMap(({ overlays }) => [...overlays])).toEqual([]);

      await fabric.operations.apply('shop', MODEL, {});
      await fabric.until(
        'everything to run',
        (records) => records.vms.length === 5 && convergedUnder(records, fabric.hosts),
      );
      expect(homes(fabric)).toEqual(before);
    },
  );

  test.each(SEEDS)(
    'is behind hosts that go on running newer incarnations; the model applied at once wins (seed %i)',
    async (seed) => {
      const fabric = await running(seed);
      const before = homes(fabric);
      await fabric.loseStore();
      await fabric.operations.apply('shop', MODEL, {});
      await fabric.startController();
      await fabric.until(
        'everything to run',
        (records) => records.vms.length === 5 && convergedUnder(records, fabric.hosts),
      );
      const machines = (lines: readonly string[]) =>
        lines
          .join(' ')
          .split(/[ ,]/)
          .filter((word) => word.startsWith('shop/'));
      // A host that speaks before the one with the disk may be given the machine; no disk is lost either way.
      for (const id of machines(before)) expect(machines(homes(fabric))).toContain(id);
    },
  );
});
