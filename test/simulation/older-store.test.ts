import { afterEach, describe, expect, test } from 'vitest';
import type { VmRecord } from '../../controller/model/index.ts';
import { convergedUnder } from './support/converged.ts';
import { Simulation } from './support/simulation.ts';
import { copyOf } from './support/store-copy.ts';

const model = (webs: number, more = '') => `
apiVersion: weft/v1
kind: Application
name: shop
roles:
  web: {kind: worker, image: "tiny:stable", size: {cpus: 1, memory: 128MiB, disk: 256MiB}, instances: ${webs}, endpoints: {http: {type: internal, port: 8080, from: [machines]}}}
machines:
  db: {image: "tiny:stable", size: {cpus: 1, memory: 128MiB, disk: 256MiB}}
  files: {image: "tiny:stable", size: {cpus: 1, memory: 128MiB, disk: 256MiB}}
${more}`;
const LATER = '  late: {image: "tiny:stable", size: {cpus: 1, memory: 128MiB, disk: 256MiB}}\n';
const SEEDS = [1, 2, 3, 4, 5, 6];

describe('a store that was restored from an older copy', () => {
  let simulation: Simulation | null = null;
  afterEach(() => simulation?.killController());

  const running = async (seed: number) => {
    simulation = await Simulation.start({ seed, hosts: [{}, {}, {}] });
    await simulation.operations.apply('shop', model(3), {});
    await untilAllRun(simulation, 5);
    return simulation;
  };
  const untilAllRun = (fabric: Simulation, count: number) =>
    fabric.until(
      `${count} to run`,
      (records) => records.vms.length === count && convergedUnder(records, fabric.hosts),
    );
  const homes = ({ hosts }: Simulation) =>
    hosts.map(({ name, machineDisks }) => `${name} ${[...machineDisks].sort().join()}`);

  test.each(SEEDS)(
    'is behind hosts: machines go on where they are by now, and one that it does not know keeps its disk (seed %i)',
    async (seed) => {
      const fabric = await running(seed);
      const copy = await copyOf(fabric.store);
      // What the copy knows nothing of: newer incarnations, more instances, and a machine.
      for (const id of ['shop/web-0', 'shop/web-1']) await fabric.operations.reimage(id);
      await fabric.operations.apply('shop', model(5, LATER), {});
      await untilAllRun(fabric, 8);
      const before = homes(fabric);

      await fabric.restoreStore(copy);
      await fabric.startController();
      // Beside them runs the machine of which nobody knows, until it is declared.
      await fabric.until(
        'what the copy knows to be ready',
        ({ vms }) => vms.length === 5 && vms.every(({ state }) => state === 'ready'),
      );
      await fabric.run(60_000);
      expect(homes(fabric)).toEqual(before);
      expect(before.join()).toContain('shop/late');

      // Declared anew, it is found by its disk.
      await fabric.operations.apply('shop', model(3, LATER), {});
      await untilAllRun(fabric, 6);
      expect(homes(fabric)).toEqual(before);
    },
  );

  test.each(SEEDS)(
    'starts no machine where it was before it went elsewhere: it runs on there, with its disk (seed %i)',
    async (seed) => {
      const fabric = await running(seed);
      const copy = await copyOf(fabric.store);
      const old = fabric.records.vms.find(({ id }) => id === 'shop/db')?.host;
      await fabric.operations.move('shop/db', null, { copies: true });
      const isElsewhere = ({ id, host, state }: VmRecord) =>
        id === 'shop/db' && host !== old && state === 'ready';
      await fabric.until('the machine to be elsewhere', ({ vms }) => vms.some(isElsewhere));
      await fabric.until('its old disk to be gone', () => !homes(fabric).join().includes(`${old} shop/db`));
      const before = homes(fabric);

      await fabric.restoreStore(copy);
      await fabric.startController();
      const { vms } = await fabric.until('its old host to say so', (records) =>
        records.vms.some(({ id, failure }) => id === 'shop/db' && failure !== null),
      );
      expect(vms.find(({ id }) => id === 'shop/db')?.failure?.message).toContain(
        'the disk of shop/db is not there',
      );
      await fabric.run(60_000);
      expect(homes(fabric)).toEqual(before);
    },
  );
});
