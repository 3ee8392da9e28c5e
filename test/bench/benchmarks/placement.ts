import { performance } from 'node:perf_hooks';
import { DEFAULT_SETTINGS, plan } from '../../../controller/reconciler/plan.ts';
import { PlanningWorld } from '../../property/reconciler/planning-world.ts';
import { anApplication, aRole } from '../../support/builders/application.ts';
import { aHost } from '../../support/builders/host.ts';
import type { Benchmark } from '../contract.ts';
import { median } from '../statistics.ts';

const HOSTS = 1_000;
const INSTANCES = 10_000;
const ROUNDS = 3;

/** Whole plans, not only the choice of a host: records, addresses, claims and reasons too, on one core. */
export const placement: Benchmark = {
  name: 'placement',
  about: 'placing 10,000 instances on 1,000 simulated hosts',
  async run({ rounds, say }) {
    const seconds: number[] = [];
    for (let round = 0; round < (rounds ?? ROUNDS); round++) {
      seconds.push(placeAll() / 1_000);
      say(`placement ${round + 1}: ${seconds.at(-1)?.toFixed(2)} s`);
    }
    return [
      {
        benchmark: 'placement',
        unit: 'placements/s',
        value: INSTANCES / median(seconds),
        target: { limit: 2_000, better: 'higher' },
        readings: { seconds },
        note: 'the reconciler’s plan from an empty fabric until every instance has a host, an address and a claim; writes to a store not included',
      },
    ];
  },
};

/** @returns milliseconds. */
function placeAll(): number {
  const world = new PlanningWorld();
  for (let number = 0; number < HOSTS; number++) {
    const name = `h${number}`;
    const faultDomain = `site/room-${number % 4}/rack-${number % 40}/power-${number}`;
    world.addHost(aHost(name, { cpus: 16, memoryMiB: 65_536, faultDomain }));
  }
  for (let number = 0; number < INSTANCES / 100; number++) {
    const name = `app-${number}`;
    world.put(`apps/${name}`, anApplication(name, { roles: { web: aRole({ instances: 100 }) } }));
  }
  const startedMs = performance.now();
  for (let passes = 0; passes < 1_000; passes++) {
    world.write(plan(world.snapshot(), world.nowMs, DEFAULT_SETTINGS));
    let placed = 0;
    for (const vm of world.records.vms.values()) if (vm.host !== null) placed++;
    if (placed === INSTANCES) return performance.now() - startedMs;
  }
  throw new Error('not everything was placed');
}
