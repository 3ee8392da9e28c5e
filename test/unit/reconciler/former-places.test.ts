import { beforeEach, expect, test } from 'vitest';
import { DEFAULT_SETTINGS, plan } from '../../../controller/reconciler/plan.ts';
import { PlanningWorld } from '../../property/reconciler/planning-world.ts';
import { AN_INPUT, anApplication, aRole } from '../../support/builders/application.ts';
import { aHost } from '../../support/builders/host.ts';

let world: PlanningWorld;
beforeEach(() => {
  world = new PlanningWorld();
  for (const index of [1, 2]) world.addHost(aHost(`h${index}`, { edgeAt: `192.0.2.${index}` }));
});

/** Until nothing is left to do. @param gone hosts that are away meanwhile. */
function settle(): void {
  world.letHostsFollow();
  for (let passes = 0; passes < 80; passes++) {
    const made = world.snapshot();
    const published = { ...made, fleet: { ...made.fleet, public: ['192.0.2.200-192.0.2.209/24'] } };
    const planned = plan(published, world.nowMs, DEFAULT_SETTINGS);
    world.write(planned);
    world.letHostsFollow();
    if (planned.puts.length + planned.deletes.length + planned.events.length === 0) return;
  }
  throw new Error('the plan does not come to rest');
}

const declare = (name: string) =>
  world.put(
    `apps/${name}`,
    anApplication(name, { roles: { web: aRole({ instances: 0, endpoints: { http: AN_INPUT } }) } }),
  );
const publicOf = (name: string) => world.records.applications.get(name)?.public;
const crm = { address: '192.0.2.200', prefix: 24, routerId: 1 };

test('an address that is given up is somebody else’s when every edge host that was told of it does without', () => {
  declare('crm');
  settle();
  expect(publicOf('crm')).toEqual(crm);
  world.silence('h2');
  world.put('apps/crm', {
    ...anApplication('crm'),
    ...world.records.applications.get('crm'),
    deleting: true,
  });
  settle();
  expect(world.records.applications.has('crm')).toBe(false);
  expect(world.records.hosts.get('h1')?.formerAddresses).toBeUndefined();
  expect(world.records.hosts.get('h2')?.formerAddresses).toEqual([crm]);
  declare('shop');
  settle();
  expect(publicOf('shop')).toEqual({ address: '192.0.2.201', prefix: 24, routerId: 2 });
  world.hear('h2');
  settle();
  expect(world.records.hosts.get('h2')?.formerAddresses).toBeUndefined();
  declare('blog');
  settle();
  expect(publicOf('blog')).toEqual(crm);
});

test('nor is a subnet, while an edge host that serves its guests is not heard', () => {
  const made = (name: string) =>
    world.put(
      `apps/${name}`,
      anApplication(name, { roles: { web: aRole({ endpoints: { http: AN_INPUT } }) } }),
    );
  const numberOf = (id: string) => world.records.networks.get(id)?.number;
  world.silence('h2');
  settle();
  made('crm');
  settle();
  expect(numberOf('crm/web')).toBe(1);
  world.put('apps/crm', {
    ...anApplication('crm'),
    ...world.records.applications.get('crm'),
    deleting: true,
  });
  // Nobody says how many connections are open: they are waited for until the time is over.
  for (const _wait of [1, 2]) {
    settle();
    world.pass(60_000);
  }
  settle();
  expect(world.records.networks.size).toBe(0);
  expect(world.records.hosts.get('h1')?.formerSubnets).toBeUndefined();
  expect(world.records.hosts.get('h2')?.formerSubnets).toEqual([1]);
  made('shop');
  settle();
  expect(numberOf('shop/web')).toBe(2);
  world.hear('h2');
  settle();
  expect(world.records.hosts.get('h2')?.formerSubnets).toBeUndefined();
});
