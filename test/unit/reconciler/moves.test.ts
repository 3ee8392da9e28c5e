import { describe, expect, test } from 'vitest';
import type { VmReport } from '../../../agent/protocol/index.ts';
import type { HostRecord, VmRecord } from '../../../controller/model/index.ts';
import { drainProgress } from '../../../controller/operations/drain-progress.ts';
import { DEFAULT_SETTINGS, plan } from '../../../controller/reconciler/plan.ts';
import { PlanningWorld } from '../../property/reconciler/planning-world.ts';
import { SHARED_POOL } from '../../simulation/support/shared-pool.ts';
import { aMachine, anApplication, aRole } from '../../support/builders/application.ts';
import { aHost, type HostShape } from '../../support/builders/host.ts';

const SAN = [{ ...SHARED_POOL, sizeMiB: 102_400 }];
type Say = (vm: VmRecord) => Partial<VmReport>;
const READY: Say = () => ({});

/** Hosts that follow at once, and an application on them. */
class Fabric {
  readonly world = new PlanningWorld();
  readonly events: string[] = [];
  say: Say = READY;

  constructor(
    hosts: readonly string[],
    application: Parameters<typeof anApplication>[1],
    shape: HostShape = {},
  ) {
    for (const name of hosts) this.world.addHost(aHost(name, { pools: SAN, ...shape }));
    this.world.put('apps/crm', anApplication('crm', application));
    this.settle();
  }

  /** One pass, then every host follows and reports. */
  pass(): boolean {
    const planned = plan(this.world.snapshot(), this.world.nowMs, DEFAULT_SETTINGS);
    this.world.write(planned);
    this.events.push(...planned.events.map(({ kind, subject }) => `${kind} ${subject}`));
    this.world.letHostsFollow(this.say);
    return planned.puts.length + planned.deletes.length + planned.events.length > 0;
  }

  settle(): void {
    this.world.letHostsFollow(this.say);
    for (let passes = 0; passes < 60; passes++) if (!this.pass()) return;
    throw new Error('the plan does not come to rest');
  }

  vm(name: string): VmRecord {
    const vm = this.world.records.vms.get(`crm/${name}`);
    if (!vm) throw new Error(`there is no ${name}`);
    return vm;
  }

  host(name: string): HostRecord {
    const host = this.world.records.hosts.get(name);
    if (!host) throw new Error(`there is no ${name}`);
    return host;
  }

  drain(name: string, options: { cold?: boolean; live?: boolean } = {}): void {
    const drain = {
      atMs: this.world.nowMs,
      by: 'ann',
      cold: options.cold === true,
      live: options.live === true,
      vms: 1,
    };
    this.world.put(`hosts/${name}`, { ...this.host(name), draining: true, drain });
  }

  undrain(name: string): void {
    this.world.put(`hosts/${name}`, { ...this.host(name), draining: false, drain: null });
  }

  left(name: string): readonly string[] {
    const { nowMs, records } = this.world;
    return drainProgress(
      this.host(name),
      [...records.vms.values()],
      [...records.backups.values()],
      nowMs,
    ).left.map(({ id, waitsFor, reason }) => `${id} ${waitsFor}: ${reason}`);
  }
}

const web = (instances = 1) => ({ roles: { web: aRole({ instances }) } });
const claimed = ({ world }: Fabric) =>
  [...world.records.claims]
    .flatMap(([host, { vms }]) => Object.keys(vms).map((key) => `${host} ${key}`))
    .sort();

describe('an instance of a host that drains', () => {
  test('goes on until its successor, at another address, is ready; then that one has its place', () => {
    const fabric = new Fabric(['h1', 'h2'], web());
    const before = fabric.vm('web-0');
    const home = String(before.host);
    const other = home === 'h1' ? 'h2' : 'h1';
    fabric.say = (vm) => (vm.host === other ? { phase: 'booting' } : {});
    fabric.drain(home);
    fabric.settle();
    const during = fabric.vm('web-0');
    expect(during).toMatchObject({ host: home, incarnation: 1, state: 'ready', address: before.address });
    expect(during.successor).toMatchObject({ host: other, incarnation: 2, state: 'booting' });
    expect(during.successor?.address).not.toBe(before.address);
    expect(claimed(fabric)).toEqual([`${home} crm/web-0@1`, `${other} crm/web-0@2`].sort());
    expect(fabric.host(home).mode).toBe('draining');
    expect(fabric.left(home)).toEqual([`crm/web-0 successor: its successor on ${other} is booting, for 0 s`]);

    fabric.say = READY;
    fabric.settle();
    expect(fabric.vm('web-0')).toMatchObject({
      ...{ host: other, incarnation: 2, state: 'ready', successor: null },
      address: during.successor?.address,
    });
    expect(claimed(fabric)).toEqual([`${other} crm/web-0@2`]);
    // Its old host has looked, and its old address is free again.
    expect(fabric.host(home)).toMatchObject({ mode: 'maintenance', superseded: {} });
    const network = fabric.world.records.networks.get('crm/web');
    expect(network?.addresses).toEqual({ 'crm/web-0': during.successor?.address });
    expect(fabric.events.filter((event) => event.startsWith('host-'))).toEqual([
      `host-draining ${home}`,
      `host-maintenance ${home}`,
    ]);
  });

  test('is as it was when the drain is ended; the next successor has a number that no host was given', () => {
    const fabric = new Fabric(['h1', 'h2'], web());
    const home = String(fabric.vm('web-0').host);
    const other = home === 'h1' ? 'h2' : 'h1';
    fabric.say = (vm) => (vm.host === other ? { phase: 'starting' } : {});
    fabric.drain(home);
    fabric.settle();
    fabric.undrain(home);
    fabric.pass();
    expect(fabric.host(other).superseded).toEqual({ 'crm/web-0': 2 });
    fabric.settle();
    expect(fabric.vm('web-0')).toMatchObject({ host: home, incarnation: 1, state: 'ready', successor: null });
    expect(claimed(fabric)).toEqual([`${home} crm/web-0@1`]);
    expect(fabric.host(home).mode).toBe('in-service');
    fabric.drain(home);
    fabric.settle();
    expect(fabric.vm('web-0').successor?.incarnation).toBe(3);
  });

  test('stays, and says why, when no other host has room', () => {
    const fabric = new Fabric(['h1', 'h2'], web(2), { memoryMiB: 200 });
    fabric.drain('h1');
    fabric.settle();
    expect([fabric.vm('web-0').state, fabric.vm('web-1').state]).toEqual(['ready', 'ready']);
    expect(fabric.left('h1')).toHaveLength(1);
    expect(fabric.left('h1')[0]).toMatch(/room: no other host can take it: .*h2: needs \d+ MiB of memory/);
  });

  test('is tried three times, on each host that may take it, and then stays until it is asked again', () => {
    const fabric = new Fabric(['h1', 'h2', 'h3'], web());
    const home = String(fabric.vm('web-0').host);
    fabric.say = (vm) =>
      vm.host === home ? {} : { phase: 'failed', failure: { code: 'task-failed', message: 'no luck' } };
    fabric.drain(home);
    const tried: string[] = [];
    for (let round = 0; round < 10; round++) {
      fabric.pass();
      const { successor } = fabric.vm('web-0');
      if (successor && tried.at(-1) !== `${successor.host}@${successor.incarnation}`)
        tried.push(`${successor.host}@${successor.incarnation}`);
      fabric.settle();
      fabric.world.pass(60_000);
    }
    expect(new Set(tried.map((each) => each.slice(0, 2))).size).toBe(2);
    expect(fabric.events.filter((event) => event.startsWith('vm-move-failed'))).toHaveLength(3);
    expect(fabric.vm('web-0')).toMatchObject({ host: home, incarnation: 1, state: 'ready', failures: 0 });
    expect(fabric.left(home)[0]).toMatch(/operator: its successor failed on h\d: no luck; tried 3 times/);
    fabric.say = READY;
    fabric.settle();
    expect(fabric.vm('web-0').host).toBe(home);
    fabric.world.pass(1);
    fabric.drain(home);
    fabric.settle();
    expect(fabric.vm('web-0').host).not.toBe(home);
  });

  test('leaves together with the others of its role', () => {
    const fabric = new Fabric(['h1', 'h2'], web(4));
    fabric.say = (vm) => (vm.host === 'h2' && vm.incarnation > 1 ? { phase: 'booting' } : {});
    fabric.drain('h1');
    fabric.settle();
    const moving = [...fabric.world.records.vms.values()].filter(({ successor }) => successor);
    expect(moving).toHaveLength(2);
    expect(fabric.left('h1').every((line) => line.includes('its successor on h2 is booting'))).toBe(true);
  });

  test('is made from what is declared now', () => {
    const fabric = new Fabric(['h1', 'h2'], web());
    const home = String(fabric.vm('web-0').host);
    fabric.drain(home);
    const newer = { roles: { web: aRole({ instances: 1, env: { VERSION: '2' } }) } };
    fabric.world.put('apps/crm', anApplication('crm', newer));
    fabric.pass();
    const { successor, definition, state } = fabric.vm('web-0');
    expect(state).toBe('ready');
    expect(successor?.definition).not.toBe(definition);
    fabric.settle();
    expect(fabric.vm('web-0')).toMatchObject({ definition: successor?.definition, incarnation: 2 });
  });

  test('is not given up because its agent begins anew, and says so of what runs on', () => {
    const fabric = new Fabric(['h1', 'h2'], web());
    const home = String(fabric.vm('web-0').host);
    fabric.say = () => ({ phase: 'booting' });
    fabric.settle();
    fabric.drain(home);
    fabric.settle();
    expect(fabric.vm('web-0')).toMatchObject({ host: home, incarnation: 1, state: 'booting' });
    expect(fabric.vm('web-0').successor).toMatchObject({ incarnation: 2, state: 'booting' });
    fabric.say = READY;
    fabric.settle();
    expect(fabric.vm('web-0')).toMatchObject({ incarnation: 2, state: 'ready' });
  });

  test('is made anew elsewhere at once when it was never ready', () => {
    const fabric = new Fabric(['h1', 'h2'], { roles: {} });
    fabric.say = () => ({ phase: 'booting' });
    fabric.world.put('apps/crm', anApplication('crm', web()));
    fabric.settle();
    const home = String(fabric.vm('web-0').host);
    fabric.drain(home);
    fabric.pass();
    expect(fabric.vm('web-0').host).not.toBe(home);
    expect(fabric.host(home).superseded).toEqual({ 'crm/web-0': 1 });
  });

  test('is followed at once, by whatever was begun, when its host goes down meanwhile', () => {
    const fabric = new Fabric(['h1', 'h2', 'h3'], web());
    const home = String(fabric.vm('web-0').host);
    fabric.say = (vm) => (vm.host === home ? {} : { phase: 'booting' });
    fabric.drain(home);
    fabric.settle();
    const { successor } = fabric.vm('web-0');
    fabric.world.silence(home);
    fabric.world.pass(10_000);
    fabric.settle();
    expect(fabric.vm('web-0')).toMatchObject({
      ...{ host: successor?.host, incarnation: successor?.incarnation, state: 'booting', successor: null },
    });
    expect(fabric.host(home).superseded).toEqual({ 'crm/web-0': 1 });
  });
});

describe('a machine of a host that drains', () => {
  const machines = { roles: {}, machines: { db: aMachine({ pool: SHARED_POOL.name }), own: aMachine() } };

  test('stays when it is never to be stopped and cannot move while it runs, and says for whom it waits', () => {
    const fabric = new Fabric(['h1'], machines);
    fabric.world.addHost(aHost('h2', { pools: SAN }));
    fabric.drain('h1', { live: true });
    fabric.settle();
    expect(fabric.left('h1')).toEqual([
      expect.stringMatching(
        /crm\/db operator: waits for an operator: it cannot move while it runs: .* weft move crm\/db --cold/,
      ),
      expect.stringMatching(/crm\/own operator: waits for an operator: machine crm\/own on local pool/),
    ]);
  });

  test('is stopped, goes on elsewhere by its agent’s word that it is off, and not before', () => {
    const fabric = new Fabric(['h1'], machines);
    fabric.world.addHost(aHost('h2', { pools: SAN }));
    const address = fabric.vm('db').address;
    fabric.say = (vm) => (vm.power === 'stopped' ? { phase: 'stopping' } : {});
    fabric.drain('h1', { cold: true });
    fabric.settle();
    expect(fabric.vm('db')).toMatchObject({
      host: 'h1',
      incarnation: 1,
      power: 'stopped',
      state: 'stopping',
    });
    expect(claimed(fabric)).toContain('h2 crm/db@2');
    expect(fabric.left('h1')[0]).toMatch(/crm\/db stop: it is stopped here, to go on at h2/);
    fabric.say = READY;
    fabric.settle();
    expect(fabric.vm('db')).toMatchObject({
      ...{ host: 'h2', incarnation: 2, power: 'running', state: 'ready', address },
      proof: { kind: 'agent', host: 'h1' },
    });
    expect(claimed(fabric)).toEqual(['h1 crm/own@1', 'h2 crm/db@2']);
  });

  test('is started again where it is when the drain is ended before it is off', () => {
    const fabric = new Fabric(['h1'], machines);
    fabric.world.addHost(aHost('h2', { pools: SAN }));
    fabric.say = (vm) => (vm.power === 'stopped' ? { phase: 'stopping' } : {});
    fabric.drain('h1', { cold: true });
    fabric.settle();
    fabric.undrain('h1');
    fabric.settle();
    expect(fabric.vm('db')).toMatchObject({ host: 'h1', incarnation: 1, power: 'running', state: 'ready' });
    expect(claimed(fabric)).toEqual(['h1 crm/db@1', 'h1 crm/own@1']);
  });

  test('is not started elsewhere when its host falls silent while it is to stop', () => {
    const fabric = new Fabric(['h1'], machines);
    for (const name of ['h2', 'h3']) fabric.world.addHost(aHost(name, { pools: SAN }));
    fabric.say = (vm) => (vm.power === 'stopped' ? { phase: 'stopping' } : {});
    fabric.drain('h1', { cold: true });
    fabric.settle();
    fabric.world.silence('h1');
    fabric.world.pass(10_000);
    fabric.settle();
    expect(fabric.vm('db')).toMatchObject({ host: 'h1', incarnation: 1, state: 'unknown' });
  });
});

describe('hosts in maintenance', () => {
  const empty = { roles: {} };

  test('go down for their operator’s reasons: they make nothing hold still, and are not held off when they return', () => {
    const fabric = new Fabric(['h1', 'h2', 'h3', 'h4'], empty);
    for (const name of ['h1', 'h2']) {
      fabric.drain(name);
      fabric.settle();
      expect(fabric.host(name).mode).toBe('maintenance');
      fabric.world.silence(name);
    }
    fabric.world.pass(10_000);
    fabric.settle();
    expect(fabric.host('h1')).toMatchObject({ state: 'down', mode: 'maintenance', downsAtMs: [] });
    expect(fabric.events.filter((event) => event.startsWith('healing'))).toEqual([]);
  });

  test('are told from hosts that are silent for no reason', () => {
    const fabric = new Fabric(['h1', 'h2', 'h3', 'h4'], empty);
    for (const name of ['h1', 'h2']) fabric.world.silence(name);
    fabric.world.pass(10_000);
    fabric.settle();
    expect(fabric.events).toContain('healing-held fabric');
    expect(fabric.host('h1').downsAtMs).toEqual([]);
  });
});

test('a move to another host than its successor is on begins anew there', () => {
  const fabric = new Fabric(['h1', 'h2', 'h3'], web());
  const home = String(fabric.vm('web-0').host);
  fabric.say = (vm) => (vm.host === home ? {} : { phase: 'booting' });
  fabric.drain(home);
  fabric.settle();
  const first = fabric.vm('web-0').successor;
  const to = ['h1', 'h2', 'h3'].find((name) => name !== home && name !== first?.host) ?? '';
  fabric.world.put('vms/crm/web-0', { ...fabric.vm('web-0'), moveTo: to });
  fabric.settle();
  expect(fabric.vm('web-0').successor).toMatchObject({ host: to, incarnation: 3 });
  fabric.say = READY;
  fabric.settle();
  expect(fabric.vm('web-0')).toMatchObject({ host: to, incarnation: 3, moveTo: null, state: 'ready' });
});
