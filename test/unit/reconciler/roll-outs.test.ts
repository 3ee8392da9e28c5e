import { beforeEach, describe, expect, test } from 'vitest';
import type { VmReport } from '../../../agent/protocol/index.ts';
import type { VmRecord } from '../../../controller/model/index.ts';
import { DEFAULT_SETTINGS, plan } from '../../../controller/reconciler/plan.ts';
import { PlanningWorld } from '../../property/reconciler/planning-world.ts';
import { anApplication, aRole } from '../../support/builders/application.ts';
import { aHost } from '../../support/builders/host.ts';

/** The older one and the newer one. */
const [OLD, NEW] = [{ A: '1' }, { A: '2' }];
const ROLE = { instances: 2 };

let world: PlanningWorld;
let events: string[];
let say: (vm: VmRecord) => Partial<VmReport>;

/** Declares two instances with this environment. */
const declare = (env: Readonly<Record<string, string>>, generation: number) =>
  world.put('apps/crm', { ...anApplication('crm', { roles: { web: aRole({ ...ROLE, env }) } }), generation });

function start(...hosts: string[]): void {
  for (const name of hosts) world.addHost(aHost(name));
  declare(OLD, 1);
  settle();
  events = [];
}

beforeEach(() => {
  world = new PlanningWorld();
  events = [];
  say = () => ({});
});

const web = (index: number): VmRecord => {
  const found = world.records.vms.get(`crm/web-${index}`);
  if (!found) throw new Error(`there is no ${index}`);
  return found;
};
const successors = () => [0, 1].flatMap((index) => (web(index).successor ? [index] : []));
const isNew = ({ incarnation }: VmRecord) => incarnation > 1;

function settle(afterMs = 0): void {
  world.nowMs += afterMs;
  world.letHostsFollow(say);
  for (let passes = 0; passes < 60; passes++) {
    const planned = plan(world.snapshot(), world.nowMs, DEFAULT_SETTINGS);
    world.write(planned);
    events.push(...planned.events.map(({ kind, subject }) => `${kind} ${subject}`));
    world.letHostsFollow(say);
    if (planned.puts.length + planned.deletes.length + planned.events.length === 0) return;
  }
  throw new Error('the plan does not come to rest');
}

describe('a role whose definition changes', () => {
  test('has its new instances made on other hosts first, one at a time, and each takes the place of the old one when it is ready', () => {
    start('h1', 'h2');
    const before = [web(0), web(1)];
    say = (vm) => (isNew(vm) ? { phase: 'booting' } : {});
    declare(NEW, 2);
    settle();
    expect(successors()).toEqual([0]);
    expect([web(0), web(1)].map(({ state, incarnation }) => `${state} ${incarnation}`)).toEqual([
      'ready 1',
      'ready 1',
    ]);
    expect(web(0).successor?.host).not.toBe(web(0).host);
    say = () => ({});
    settle();
    expect(successors()).toEqual([]);
    for (const [index, { definition, host }] of before.entries()) {
      expect(web(index)).toMatchObject({ state: 'ready', incarnation: 2 });
      expect(web(index).definition).not.toBe(definition);
      expect(web(index).host).not.toBe(host);
    }
    expect(events.filter((event) => /^vm-(placed|moved|refused)/.test(event))).toEqual([
      'vm-moved crm/web-0',
      'vm-moved crm/web-1',
    ]);
  });

  test('has them replaced where they are when no other host has room', () => {
    start('h1');
    declare(NEW, 2);
    settle();
    for (const index of [0, 1])
      expect(web(index)).toMatchObject({ host: 'h1', incarnation: 2, state: 'ready' });
    expect(events.filter((event) => /^vm-(placed|refused|successor)/.test(event))).toEqual([
      'vm-placed crm/web-0',
      'vm-placed crm/web-1',
    ]);
  });

  test('keeps what works when the new ones fail, tries three times, and again when it is moved or declared anew', () => {
    start('h1', 'h2', 'h3');
    say = (vm) =>
      isNew(vm) ? { phase: 'failed', failure: { code: 'task-failed', message: 'exit code 1' } } : {};
    declare(NEW, 2);
    for (const afterMs of [0, 5_000, 20_000, 600_000, 600_000]) settle(afterMs);
    const tries = () => events.filter((event) => event === 'vm-successor crm/web-0');
    expect(tries()).toHaveLength(3);
    expect(events).not.toContain('vm-successor crm/web-1');
    for (const index of [0, 1]) expect(web(index)).toMatchObject({ incarnation: 1, state: 'ready' });
    expect(web(0).stay).toMatchObject({ failures: 3, retryAtMs: null });
    // A user who moves it asks once more.
    world.put('vms/crm/web-0', { ...web(0), moveTo: '*' });
    settle();
    expect(tries()).toHaveLength(4);
    expect(web(0)).toMatchObject({ incarnation: 1, state: 'ready' });
    say = () => ({});
    declare({ A: '3' }, 3);
    settle(5_000);
    expect(tries()).toHaveLength(5);
    for (const index of [0, 1]) expect(web(index)).toMatchObject({ state: 'ready', stay: null });
    expect(web(0).incarnation).toBeGreaterThan(1);
  });

  test('and changes back in the middle keeps what it had', () => {
    start('h1', 'h2');
    say = (vm) => (isNew(vm) ? { phase: 'booting' } : {});
    declare(NEW, 2);
    settle();
    expect(successors()).toEqual([0]);
    declare(OLD, 3);
    settle();
    expect(successors()).toEqual([]);
    for (const index of [0, 1]) expect(web(index)).toMatchObject({ incarnation: 1, state: 'ready' });
  });

  test('and changes once more in the middle has the newest made, and nothing else', () => {
    start('h1', 'h2');
    say = (vm) => (isNew(vm) ? { phase: 'booting' } : {});
    declare(NEW, 2);
    settle();
    const older = web(0).successor?.definition;
    declare({ A: '3' }, 3);
    settle();
    expect(successors()).toEqual([0]);
    expect(web(0).successor?.definition).not.toBe(older);
    say = () => ({});
    settle();
    for (const index of [0, 1]) expect(web(index)).toMatchObject({ state: 'ready', successor: null });
  });

  test('on a host that drains is made elsewhere all at once', () => {
    start('h1', 'h2');
    const home = String(web(0).host);
    const hosts = world.records.hosts.get(home);
    world.put(`hosts/${home}`, {
      ...hosts,
      draining: true,
      drain: { atMs: world.nowMs, by: 'ann', cold: false, vms: 1 },
    });
    declare(NEW, 2);
    settle();
    for (const index of [0, 1]) {
      expect(web(index).host).not.toBe(home);
      expect(web(index)).toMatchObject({ state: 'ready', stay: null });
    }
  });
});
