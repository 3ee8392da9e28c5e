import type { HostShape } from '../../support/builders/host.ts';
import { convergedUnder } from './converged.ts';
import { growthOf, MACHINE_IN_CEPH, MACHINES, model } from './faults.ts';
import { untilAsDeclared } from './network/as-declared.ts';
import { onlyRefusals, play, type Script } from './script.ts';
import { RBD_POOL, SHARED_POOL } from './shared-pool.ts';
import { deviceOf } from './simulated-power.ts';
import { Simulation, type SimulationOptions, START_MS } from './simulation.ts';
import { storageFenceOf } from './storage/simulated-storage.ts';

const pools = [{ ...SHARED_POOL, sizeMiB: 102_400 }];
const poolsWithCeph = [...pools, { ...RBD_POOL, sizeMiB: 102_400 }];

/** Hosts have a pool in Ceph as well, and can be shut out of it; under every second seed nothing else fences them. */
const withCeph = (shapes: readonly HostShape[], seed: number): readonly HostShape[] =>
  shapes.map((shape, index) => {
    const name = `h${index + 1}`;
    const power = seed % 2 === 0 ? [] : [deviceOf(name)];
    return { ...shape, pools: poolsWithCeph, fence: [storageFenceOf(name), ...power] };
  });

/** Two hosts in one fault domain, the rest in another; of every second seed the last one is small. */
export function shapesOf(seed: number, hosts: number, memoryMiB = 1_024): readonly HostShape[] {
  return Array.from({ length: hosts }, (_, index) => {
    const isSmall = index === hosts - 1 && seed % 2 === 0;
    return {
      faultDomain: index < 2 ? 'a' : 'b',
      memoryMiB: isSmall ? Math.min(640, memoryMiB) : memoryMiB,
      pools,
    };
  });
}

/**
 * Plays a script over an application, mends everything, and sees it whole, and then gone.
 * @returns the virtual time that passed, ms. @throws what an invariant says, or what was waited for in vain.
 */
export async function explore(
  script: Script,
  options: Omit<SimulationOptions, 'hosts'> & {
    readonly hosts?: number;
    readonly memoryMiB?: number;
    /** With a pool in Ceph, and a machine there. */
    readonly hasCeph?: boolean;
  },
): Promise<number> {
  const { hosts = 3, memoryMiB, hasCeph = false, ...rest } = options;
  const shapes = shapesOf(options.seed, hosts, memoryMiB);
  const growth = growthOf(hosts);
  const simulation = await Simulation.start({
    failureRate: 0.05,
    fence: !hasCeph,
    leavesBeats: hasCeph,
    // Of every third seed no host reaches another one.
    listens: options.seed % 3 !== 0,
    alsoDeclared: hasCeph ? MACHINE_IN_CEPH : '',
    ...rest,
    hosts: hasCeph ? withCeph(shapes, options.seed) : shapes,
  });
  try {
    await simulation.operations.apply(
      'shop',
      model(3 * growth, 1, 2 * growth, simulation.edges) + simulation.alsoDeclared,
      {},
    );
    await play(simulation, script);
    await simulation.mendAll();
    await simulation.operations.scale('shop', 'web', 3 * growth).catch(onlyRefusals);
    await simulation.until('the application to be whole', (records) =>
      convergedUnder(records, simulation.hosts),
    );
    await untilAsDeclared(simulation);
    simulation.allowDiskRemoval([...MACHINES, 'shop/vol']);
    await simulation.operations.deleteApplication('shop');
    await simulation.until(
      'nothing to be left',
      (records) =>
        simulation.shared.owners.size === 0 &&
        simulation.hosts.every(
          (host) => host.domains.size + host.overlays.size + host.machineDisks.size === 0,
        ) &&
        records.keys.every((key) => /^(fleet$|hosts\/|claims\/|events\/|incarnations\/)/.test(key)) &&
        [...records.claims.values()].every(({ vms }) => Object.keys(vms).length === 0),
    );
    return simulation.clock.now() - START_MS;
  } finally {
    simulation.killController();
  }
}
