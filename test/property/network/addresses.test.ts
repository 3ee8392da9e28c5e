import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DEFAULT_SETTINGS, plan } from '../../../controller/reconciler/plan.ts';
import { anApplication, aRole } from '../../support/builders/application.ts';
import { aHost } from '../../support/builders/host.ts';
import { PlanningWorld } from '../reconciler/planning-world.ts';

const HOSTS = ['h0', 'h1', 'h2', 'h3'];

const anyStep = fc.oneof(
  fc.record({
    do: fc.constant('declare' as const),
    app: fc.constantFrom('crm', 'shop'),
    instances: fc.integer({ min: 0, max: 3 }),
    image: fc.constantFrom('1', '2'),
  }),
  fc.record({ do: fc.constant('delete' as const), app: fc.constantFrom('crm', 'shop') }),
  fc.record({ do: fc.constantFrom('drop' as const, 'return' as const), host: fc.constantFrom(...HOSTS) }),
  fc.record({ do: fc.constant('move' as const), at: fc.nat(5) }),
  fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(1_000, 70_000) }),
);

/** Incarnation → what may still use which address on which host: what hosts were told, and have not been seen to end. */
class Afterlife {
  readonly alive = new Map<
    string,
    { readonly vm: string; readonly host: string; readonly address: string }
  >();

  /** Every host that is there does what its goal says; the others go on with what they had. */
  follow(world: PlanningWorld, silent: ReadonlySet<string>): void {
    for (const [key, { host }] of this.alive) if (!silent.has(host)) this.alive.delete(key);
    for (const vm of world.records.vms.values())
      for (const { host, incarnation, address } of [vm, ...(vm.successor ? [vm.successor] : [])])
        if (host !== null && incarnation > 0 && !vm.deleting && !silent.has(host))
          this.alive.set(`${vm.id}@${incarnation} on ${host}`, { vm: vm.id, host, address });
  }

  /** Of each address, that its holders are one VM. */
  check(world: PlanningWorld): void {
    const holders = new Map<string, string>();
    const hold = (address: string, vm: string) => {
      expect(holders.get(address) ?? vm, `who has ${address}`).toBe(vm);
      holders.set(address, vm);
    };
    for (const { vm, address } of this.alive.values()) hold(address, vm);
    const macs = new Map<string, string>();
    for (const vm of world.records.vms.values())
      for (const { address, mac } of [vm, ...(vm.successor ? [vm.successor] : [])]) {
        hold(address, vm.id);
        expect(macs.get(mac) ?? address, 'a MAC address is of one address').toBe(address);
        macs.set(mac, address);
      }
  }
}

test('no two VMs share an address, nor does a VM with what may still run of another on a host that is away', () => {
  fc.assert(
    fc.property(fc.array(anyStep, { minLength: 4, maxLength: 30 }), (steps) => {
      const world = new PlanningWorld();
      const silent = new Set<string>();
      const afterlife = new Afterlife();
      for (const host of HOSTS) world.addHost(aHost(host));
      const settle = () => {
        for (let pass = 0; pass < 8; pass++) {
          world.write(plan(world.snapshot(), world.nowMs, { ...DEFAULT_SETTINGS, holds: false }));
          afterlife.check(world);
          afterlife.follow(world, silent);
          world.letHostsFollow();
        }
      };
      world.put('apps/crm', anApplication('crm', { roles: { web: aRole({ instances: 3 }) } }));
      settle();
      for (const step of steps) {
        if (step.do === 'declare' && !world.records.applications.get(step.app)?.deleting)
          world.put(
            `apps/${step.app}`,
            anApplication(step.app, {
              roles: { web: aRole({ instances: step.instances, env: { V: step.image } }) },
            }),
          );
        if (step.do === 'delete') {
          const known = world.records.applications.get(step.app);
          if (known) world.put(`apps/${step.app}`, { ...known, deleting: true });
        }
        if (step.do === 'drop') {
          silent.add(step.host);
          world.silence(step.host);
        }
        if (step.do === 'return') {
          silent.delete(step.host);
          world.hear(step.host);
        }
        if (step.do === 'move') {
          const vm = [...world.records.vms.values()][step.at];
          if (vm && !vm.deleting) world.put(`vms/${vm.id}`, { ...vm, moveTo: '*' });
        }
        world.pass(step.do === 'pass' ? step.ms : 5_000);
        settle();
      }
    }),
    { numRuns: 200 },
  );
});
