import { beforeEach, describe, expect, test } from 'vitest';
import type { Role } from '../../../controller/model/index.ts';
import { edgeGoalOf } from '../../../controller/reconciler/edge-goals.ts';
import { flowsOf } from '../../../controller/reconciler/flows.ts';
import { goalOf } from '../../../controller/reconciler/goals.ts';
import { retiredAfter, withoutMachine } from '../../../controller/reconciler/retired.ts';
import { ServedWorld } from '../../property/reconciler/served-world.ts';
import { SHARED_POOL } from '../../simulation/support/shared-pool.ts';
import {
  aMachine,
  anApplication,
  aRole,
  aService,
  AN_INPUT as HTTP,
} from '../../support/builders/application.ts';

const ID = 'crm/web-0';

let world: ServedWorld;

const crm = () => world.planning.records.applications.get('crm');
const declare = (over: Partial<Role> = {}) =>
  world.planning.put('apps/crm', {
    ...crm(),
    ...anApplication('crm', {
      roles: { web: aRole({ instances: 2, endpoints: { http: HTTP }, ...over }) },
      machines: { db: aMachine({ pool: SHARED_POOL.name, endpoints: { sql: { ...HTTP, port: 90 } } }) },
    }),
  });
const ask = (id: string, wish: object) => world.planning.put(`vms/${id}`, { ...world.vm(id), ...wish });
const reboot = (id: string) => {
  const { rebootGeneration = 0 } = world.vm(id) ?? {};
  ask(id, { rebootGeneration: rebootGeneration + 1, rebootFrom: rebootGeneration });
};
const generationTold = (id: string) => {
  const { vms, host } = { vms: [...world.planning.records.vms.values()], host: String(world.vm(id)?.host) };
  const goal = goalOf(
    host,
    vms.filter((vm) => vm.host === host),
    () => ({}),
    world.snapshot(),
  );
  return goal.vms.find((vm) => vm.id === id)?.rebootGeneration;
};

function begin(hosts: number, memoryMiB = 4_096): void {
  world = new ServedWorld(hosts, { memoryMiB, pools: [{ ...SHARED_POOL, sizeMiB: 102_400 }] });
  declare();
  world.settle();
  world.sessions = () => 1;
}

beforeEach(() => begin(3));

describe('what is taken away on purpose gets no new connection before', () => {
  test('an instance that is re-imaged, until its connections have ended', () => {
    const { host } = world.vm(ID) ?? {};
    ask(ID, { reimageRequested: true });
    world.settle();
    expect(world.vm(ID)).toMatchObject({ state: 'draining', incarnation: 1, host });
    expect(world.backends()).toMatchObject({ 'web-0.1': 'draining', 'web-1.1': 'ready' });
    world.sessions = () => 0;
    world.settle();
    expect(world.vm(ID)).toMatchObject({ state: 'ready', incarnation: 2, host, drain: null });
    expect(world.backends()).toMatchObject({ 'web-0.2': 'ready', 'web-1.1': 'ready' });
  });

  describe('one that is re-imaged, and is moved meanwhile,', () => {
    test('gets its connections again, and is made anew on the other host', () => {
      const { host } = world.vm(ID) ?? {};
      ask(ID, { reimageRequested: true });
      world.settle();
      expect(world.vm(ID)?.state).toBe('draining');
      ask(ID, { moveTo: '*' });
      world.say = (vm) => (vm.incarnation > 1 ? { phase: 'starting' } : {});
      world.settle();
      expect(world.vm(ID)).toMatchObject({ state: 'ready', incarnation: 1, host, drain: null });
      expect(world.vm(ID)?.successor?.host).not.toBe(host);
      expect(world.backends()).toMatchObject({ 'web-0.1': 'ready' });
      world.say = () => ({});
      world.settle();
      world.settle(20_000);
      expect(world.vm(ID)).toMatchObject({
        ...{ state: 'ready', incarnation: 2, reimageRequested: false, moveTo: null },
      });
      expect(world.vm(ID)?.host).not.toBe(host);
    });

    test('is made anew where it is when no other host takes it', () => {
      begin(1);
      ask(ID, { reimageRequested: true });
      world.settle();
      ask(ID, { moveTo: '*' });
      world.settle();
      expect(world.vm(ID)).toMatchObject({ state: 'draining', moveTo: null, reimageRequested: true });
      world.settle(20_000);
      expect(world.vm(ID)).toMatchObject({ state: 'ready', incarnation: 2, host: 'h1' });
    });
  });

  test('or until their time is over, whatever is open', () => {
    ask(ID, { reimageRequested: true });
    world.settle();
    world.settle(19_999);
    expect(world.vm(ID)?.incarnation).toBe(1);
    world.settle(1);
    expect(world.vm(ID)?.incarnation).toBe(2);
  });

  test('but not what its host would not take again: that goes on', () => {
    ask(ID, { reimageRequested: true, pool: 'elsewhere' });
    world.settle();
    expect(world.vm(ID)).toMatchObject({ state: 'ready', incarnation: 1 });
    expect(world.backends()).toMatchObject({ 'web-0.1': 'ready' });
  });

  test('instances of a role that is replaced in place, one after another', () => {
    begin(1);
    declare({ env: { A: '2' } });
    world.settle();
    expect([0, 1].map((index) => world.vm(`crm/web-${index}`)?.state)).toEqual(['draining', 'ready']);
    world.settle(20_000);
    expect([0, 1].map((index) => world.vm(`crm/web-${index}`)?.state)).toEqual(['ready', 'draining']);
    world.settle(20_000);
    expect([0, 1].map((index) => world.vm(`crm/web-${index}`)?.incarnation)).toEqual([2, 2]);
  });

  test('and gets them again when it is to stay as it is', () => {
    begin(1);
    declare({ env: { A: '2' } });
    world.settle();
    declare();
    world.settle();
    expect(world.vm(ID)).toMatchObject({ state: 'ready', incarnation: 1, drain: null });
  });

  test('all of an application that is deleted, which is served for as long', () => {
    world.planning.put('apps/crm', { ...crm(), deleting: true });
    world.settle();
    expect(world.backends()).toEqual({ 'db.1': 'draining', 'web-0.1': 'draining', 'web-1.1': 'draining' });
    world.sessions = (backend) => (backend === 'web-1.1' ? 1 : 0);
    world.settle();
    expect(world.backends()).toEqual({ 'web-1.1': 'draining' });
    world.settle(20_000);
    expect(crm()).toBeUndefined();
    expect(world.backends()).toEqual({});
  });

  test('instances of a role that is not declared any more', () => {
    const before = crm();
    const service = aService('crm', {
      roles: { other: aRole({ instances: 0 }) },
      machines: before?.service.machines ?? {},
    });
    const retired = retiredAfter(before ?? null, service);
    world.planning.put('apps/crm', { ...before, service, ...retired });
    world.settle();
    expect(world.backends()).toMatchObject({ 'web-0.1': 'draining', 'web-1.1': 'draining' });
    world.settle(20_000);
    expect([world.vm(ID), crm()?.retired]).toEqual([undefined, undefined]);
    expect(
      retiredAfter({ ...anApplication('crm', service), ...retired }, before?.service ?? service),
    ).toEqual({});
  });

  test('but none of a role whose port another one has by now: it is served at once', () => {
    const before = crm();
    const service = aService('crm', {
      roles: { other: aRole({ instances: 1, endpoints: { http: HTTP } }) },
      machines: before?.service.machines ?? {},
    });
    expect(retiredAfter(before ?? null, service)).toEqual({});
  });

  describe('a machine that a user deletes', () => {
    const remove = (id: string) => {
      ask(id, { deleteRequested: true });
      const application = crm();
      if (application) world.planning.put('apps/crm', withoutMachine(application, id.slice('crm/'.length)));
    };

    test('until its connections have ended; its disk goes afterwards', () => {
      const { host } = world.vm('crm/db') ?? {};
      remove('crm/db');
      world.settle();
      expect(world.vm('crm/db')).toMatchObject({ state: 'draining', deleting: false, power: 'running' });
      expect(world.backends()).toMatchObject({ 'db.1': 'draining', 'web-0.1': 'ready' });
      expect(world.planning.records.tombstones.size).toBe(0);
      const [flow] = flowsOf(crm() ?? anApplication()).filter(({ guest }) => guest === 'crm/db');
      expect(flow).toMatchObject({ id: 'crm/db/sql', from: ['edge'] });
      world.sessions = () => 0;
      const planned = world.pass();
      expect(world.planning.records.tombstones.get('crm/db')).toMatchObject({ host, upToIncarnation: 1 });
      expect(planned.puts.find(({ key }) => key === 'vms/crm/db')?.value).toMatchObject({ deleting: true });
      expect(crm()?.retiredMachines).toBeUndefined();
      world.settle();
      expect([world.vm('crm/db'), world.planning.records.tombstones.size]).toEqual([undefined, 0]);
    });

    test('at the address that it has to itself', () => {
      const application = crm();
      const db = aMachine({ pool: SHARED_POOL.name, public: true, endpoints: { sql: HTTP } });
      world.planning.put('apps/crm', {
        ...application,
        service: { ...application?.service, machines: { db } },
        publicMachines: { db: { address: '192.0.2.201', prefix: 24, routerId: 2 } },
      });
      remove('crm/db');
      const goal = edgeGoalOf('h1', world.snapshot());
      expect(goal?.addresses.map(({ address }) => address)).toEqual(['192.0.2.201']);
      expect(goal?.endpoints.find(({ id }) => id === 'crm/db/sql')?.addresses).toEqual(['192.0.2.201']);
    });

    test('at the latest when their time is over, and though it is declared anew: then it is made anew', () => {
      const { machines = {} } = crm()?.service ?? {};
      remove('crm/db');
      world.settle();
      const application = crm();
      const service = aService('crm', { roles: application?.service.roles ?? {}, machines });
      const { retiredMachines: _before, ...rest } = application ?? anApplication();
      const again = retiredAfter(application ?? null, service);
      expect(again).toEqual({});
      world.planning.put('apps/crm', { ...rest, service, ...again });
      world.settle(19_999);
      expect(world.vm('crm/db')).toMatchObject({ state: 'draining', incarnation: 1 });
      world.settle(1);
      expect(world.vm('crm/db')).toMatchObject({ state: 'ready', incarnation: 2 });
      expect(world.vm('crm/db')?.deleteRequested).toBeUndefined();
    });

    test('and none whose port another one has by now, but for one at an address of its own', () => {
      remove('crm/db');
      const before = crm() ?? null;
      const other = aMachine({ endpoints: { sql: { ...HTTP, port: 90 } } });
      const service = aService('crm', { roles: before?.service.roles ?? {}, machines: { other } });
      expect(Object.keys(retiredAfter(before, aService('crm')).retiredMachines ?? {})).toEqual(['db']);
      expect(retiredAfter(before, service)).toEqual({});
      const publicMachines = { db: { address: '192.0.2.201', prefix: 24, routerId: 2 } };
      const apart = before && { ...before, publicMachines };
      expect(Object.keys(retiredAfter(apart, service).retiredMachines ?? {})).toEqual(['db']);
    });

    test('but at once when it does not work, or nobody is served by it', () => {
      world.say = ({ id }) => (id === 'crm/db' ? { phase: 'unready' } : {});
      world.settle();
      remove('crm/db');
      world.settle();
      expect([world.vm('crm/db'), crm()?.retiredMachines]).toEqual([undefined, undefined]);
    });
  });

  test('a machine that is stopped for its move', () => {
    ask('crm/db', { moveTo: '*', moveMode: 'cold' });
    world.settle();
    expect(world.vm('crm/db')).toMatchObject({ state: 'draining', power: 'running', incarnation: 1 });
    world.settle(20_000);
    expect(world.vm('crm/db')).toMatchObject({ state: 'ready', power: 'running', incarnation: 2 });
  });

  test('a machine whose move is called off goes on', () => {
    ask('crm/db', { moveTo: '*', moveMode: 'cold' });
    world.settle();
    ask('crm/db', { moveTo: null });
    world.settle();
    expect(world.vm('crm/db')).toMatchObject({
      state: 'ready',
      incarnation: 1,
      drain: null,
      successor: null,
    });
  });

  test.each([ID, 'crm/db'])('%s, when it is rebooted, until it comes up again', (id) => {
    reboot(id);
    world.settle();
    expect(world.vm(id)?.state).toBe('draining');
    expect(generationTold(id)).toBe(0);
    world.sessions = () => 0;
    world.settle();
    expect(generationTold(id)).toBe(1);
    expect(world.vm(id)).toMatchObject({ state: 'draining', incarnation: 1 });
    world.say = (vm) => (vm.id === id ? { phase: 'booting' } : {});
    world.settle();
    expect(Object.keys(world.backends())).toHaveLength(2);
    world.say = () => ({});
    world.settle();
    expect(world.vm(id)).toMatchObject({ state: 'ready', incarnation: 1, drain: null });
  });

  test('an instance that is rebooted, though no host takes what its definition has become', () => {
    declare({ size: { name: 'vast', cpus: 1, memoryMiB: 1_000_000, diskMiB: 1_024, cpuQuotaPercent: 100 } });
    world.settle();
    expect(world.vm(ID)).toMatchObject({ state: 'ready', incarnation: 1 });
    reboot(ID);
    world.settle();
    expect(world.vm(ID)?.state).toBe('draining');
    world.sessions = () => 0;
    world.settle();
    expect(generationTold(ID)).toBe(1);
    expect(world.vm(ID)?.rebootFrom).toBeNull();
  });

  test('a reboot of which nobody hears anything is no drain for ever', () => {
    world.sessions = () => 0;
    reboot(ID);
    world.settle();
    expect(world.vm(ID)?.state).toBe('draining');
    world.settle(10_000);
    expect(world.vm(ID)).toMatchObject({ state: 'ready', drain: null });
  });
});

describe('what answers stays a backend', () => {
  const all = { 'db.1': 'ready', 'web-0.1': 'ready', 'web-1.1': 'ready' };

  test.each(['booting', 'starting'] as const)(
    'when an agent that has just begun says %s of what it found',
    (phase) => {
      world.say = () => ({ phase, foundRunning: true });
      world.settle();
      expect(world.backends()).toEqual(all);
      world.say = () => ({});
      world.settle();
      expect(world.vm(ID)).toMatchObject({ state: 'ready', incarnation: 1 });
    },
  );

  test('also while it drains', () => {
    ask(ID, { reimageRequested: true });
    world.settle();
    world.say = () => ({ phase: 'booting', foundRunning: true });
    world.settle();
    expect(world.backends()).toMatchObject({ 'web-0.1': 'draining' });
  });

  test.each(['booting', 'starting', 'unready', 'failed'] as const)(
    'and not when it says %s for another reason',
    (phase) => {
      world.say = (vm) => (vm.id === ID ? { phase } : {});
      world.pass();
      world.pass();
      expect(world.backends()['web-0.1']).toBeUndefined();
    },
  );

  test('nor what has never been ready', () => {
    world.say = () => ({ phase: 'starting', foundRunning: true });
    declare({ instances: 3 });
    world.settle();
    expect(world.backends()).toEqual(all);
  });

  test('where so many hosts are silent at once that nothing is made anew', () => {
    for (const host of ['h1', 'h2']) world.planning.silence(host);
    world.settle(60_000);
    expect(Object.keys(world.backends('h3'))).toEqual(expect.arrayContaining(['web-0.1', 'web-1.1']));
  });
});
