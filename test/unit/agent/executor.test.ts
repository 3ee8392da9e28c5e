import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Executor } from '../../../agent/executor/executor.ts';
import { domainName } from '../../../agent/executor/names.ts';
import type { ExecutorOptions } from '../../../agent/executor/options.ts';
import { FakeDriver } from '../../../agent/hypervisor/fake/fake-driver.ts';
import { WeftError } from '../../../agent/kit/errors.ts';
import { VirtualClock } from '../../../agent/kit/virtual-clock.ts';
import { executorOptions } from '../../support/builders/executor.ts';
import { aGoal, aMachineGoal, aVmGoal, FLEET } from '../../support/builders/goal.ts';
import { FakeCache, FakeDisks, FakeFolders, FakeGuest, fakeLink } from '../../support/fakes/host-fakes.ts';

let folder: string;
let driver: FakeDriver;
let disks: FakeDisks;
let cache: FakeCache;
let guest: FakeGuest;
let folders: FakeFolders;
let executors: Executor[];

const start = (options: Partial<ExecutorOptions> = {}) => {
  const fakes = { driver, disks, cache, guest, folders };
  const executor = new Executor(executorOptions(folder, { ...fakes, ...options }));
  executors.push(executor);
  return executor;
};
const until = async (what: string, wanted: () => boolean) => {
  for (let waited = 0; waited < 5_000; waited += 5) {
    if (wanted()) return;
    await sleep(5);
  }
  throw new Error(`waited for ${what}`);
};
const phaseOf = (executor: Executor, id: string) => executor.report().vms.find((vm) => vm.id === id)?.phase;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-executor-'));
  driver = new FakeDriver(FLEET);
  disks = new FakeDisks();
  folders = new FakeFolders();
  cache = new FakeCache();
  guest = new FakeGuest();
  executors = [];
});
afterEach(async () => {
  await Promise.all(executors.map((executor) => executor.close()));
  await rm(folder, { recursive: true, force: true });
});

test('a goal becomes a domain on its overlay and network, and a ready VM with timed steps', async () => {
  const vm = aVmGoal();
  const executor = start();
  executor.setGoal(aGoal([vm], { revision: 7 }));
  await until('ready', () => phaseOf(executor, vm.id) === 'ready');
  const domain = driver.domains.get(domainName(FLEET, vm.id));
  expect(domain?.spec?.chain[0]?.path).toBe('/pool/roles/crm/web-0/1.qcow2');
  expect([...driver.networks.keys()]).toEqual([domain?.spec?.nic.network]);
  await until('the goal to be looked at', () => executor.report().revisionSeen === 7);
  const report = executor.report();
  const boot = report.vms[0]?.steps.find((step) => step.name === 'boot');
  expect(boot?.status).toBe('done');
  expect(boot?.parts?.map((part) => part.name).sort()).toEqual([
    ...['fetch', 'overlay', 'secrets', 'seed', 'ssh', 'start'],
  ]);
});

test('a restarted agent finds its VM running, watches it, and starts nothing', async () => {
  const vm = aVmGoal();
  const first = start();
  first.setGoal(aGoal([vm]));
  await until('ready', () => phaseOf(first, vm.id) === 'ready');
  await first.close();
  const second = start();
  second.setGoal(aGoal([vm]));
  await until('ready again', () => phaseOf(second, vm.id) === 'ready');
  expect(driver.calls.filter(({ call }) => call === 'startDomain')).toHaveLength(1);
});

test('a restarted agent says of a guest that it found it running, until it knows something of it', async () => {
  const vm = aVmGoal();
  const first = start();
  const told: (boolean | undefined)[] = [];
  first.setGoal(aGoal([vm]));
  await until('ready', () => {
    told.push(reportOf(first, vm.id)?.foundRunning);
    return phaseOf(first, vm.id) === 'ready';
  });
  expect(told.every((found) => found === undefined)).toBe(true);
  await first.close();
  guest.boots.set(vm.id, new Promise(() => undefined));
  const second = start();
  second.setGoal(aGoal([vm]));
  await until('it to be watched', () => guest.supervised.length === 2);
  expect(reportOf(second, vm.id)).toMatchObject({ phase: 'booting', foundRunning: true });
  second.setGoal(aGoal([{ ...vm, rebootGeneration: 1 }], { revision: 2 }));
  await until('a reboot', () => driver.calls.some(({ call }) => call === 'rebootDomain'));
  expect(phaseOf(second, vm.id)).toBe('booting');
  expect(reportOf(second, vm.id)?.foundRunning).toBeUndefined();
});

test('a higher incarnation replaces the domain and the overlay', async () => {
  const executor = start();
  executor.setGoal(aGoal([aVmGoal()]));
  await until('ready', () => phaseOf(executor, 'crm/web-0') === 'ready');
  executor.setGoal(aGoal([aVmGoal({ incarnation: 2 })], { revision: 2 }));
  await until('the second', () => guest.supervised.includes('crm/web-0@2'));
  await until('one overlay', () => disks.disks.size === 1);
  expect([...disks.disks.keys()]).toEqual(['/pool/roles/crm/web-0/2.qcow2']);
  expect(driver.domains.get(domainName(FLEET, 'crm/web-0'))?.mark?.incarnation).toBe(2);
});

test('a goal of a controller that forgot a newer incarnation is told of it, and what runs is left alone', async () => {
  const executor = start();
  executor.setGoal(aGoal([aVmGoal({ incarnation: 2 })]));
  await until('ready', () => phaseOf(executor, 'crm/web-0') === 'ready');
  executor.setGoal(aGoal([aVmGoal({ incarnation: 1 })], { epoch: 2 }));
  await until('the word', () => executor.report().vms[0]?.newerFound === 2);
  expect(executor.report().vms[0]?.incarnation).toBe(1);
  expect(driver.domains.get(domainName(FLEET, 'crm/web-0'))?.mark?.incarnation).toBe(2);
  executor.setGoal(aGoal([aVmGoal({ incarnation: 3 })], { epoch: 2, revision: 2 }));
  await until('the third', () => phaseOf(executor, 'crm/web-0') === 'ready');
  expect(driver.domains.get(domainName(FLEET, 'crm/web-0'))?.mark?.incarnation).toBe(3);
});

test('what the goal no longer names goes, a machine stays and is reported as a stranger', async () => {
  const executor = start();
  executor.setGoal(aGoal([aVmGoal(), aMachineGoal()]));
  await until('both', () => guest.supervised.length === 2);
  executor.setGoal(aGoal([], { revision: 2 }));
  await until('the instance to go', () => driver.domains.size === 1);
  await until('its overlay to go', () => disks.disks.size === 1);
  expect(executor.report().strangers).toEqual([
    { id: 'crm/db', incarnation: 1, running: true, disk: '/pool/machines/crm/db/disk.qcow2' },
  ]);
  executor.setGoal(aGoal([], { revision: 3, tombstones: [{ id: 'crm/db', upToIncarnation: 1 }] }));
  await until('the machine to be buried', () => disks.disks.size === 0 && driver.domains.size === 0);
  await until('no stranger', () => executor.report().strangers.length === 0);
  await until('no network', () => driver.networks.size === 0);
});

test('a machine that powers itself off is started again on the same disk', async () => {
  const executor = start();
  const vm = aMachineGoal();
  executor.setGoal(aGoal([vm]));
  await until('ready', () => phaseOf(executor, vm.id) === 'ready');
  driver.powerOffGuest(domainName(FLEET, vm.id));
  await until('two boots', () => driver.domains.get(domainName(FLEET, vm.id))?.boots === 2);
  await until('ready', () => phaseOf(executor, vm.id) === 'ready');
  expect(disks.disks.size).toBe(1);
});

const nameOf = (id: string) => domainName(FLEET, id);
const reportOf = (executor: Executor, id: string) => executor.report().vms.find((vm) => vm.id === id);
const causesOf = (executor: Executor, id: string) =>
  reportOf(executor, id)?.restarts?.recent.map(({ cause }) => cause);
const disk = { boot: { method: 'disk', firmware: 'bios' } } as const;

test('a guest that panics, hangs, or loses its QEMU is started again on its disk, counted, and its cause kept', async () => {
  const clock = new VirtualClock();
  const executor = start({ clock });
  const vm = aMachineGoal();
  await mkdir(join(folder, 'run', vm.id), { recursive: true });
  await writeFile(join(folder, 'run', vm.id, 'console.log'), 'Kernel panic - not syncing\n');
  executor.setGoal(aGoal([{ ...vm, image: { ...vm.image, ...disk } }]));
  const goDown = [
    () => driver.crashGuest(nameOf(vm.id)),
    () => driver.hangGuest(nameOf(vm.id)),
    () => driver.removeDomain(nameOf(vm.id)),
    () => driver.powerOffGuest(nameOf(vm.id)),
  ];
  for (const [deaths, die] of goDown.entries()) {
    await until('ready', () => phaseOf(executor, vm.id) === 'ready');
    await die();
    await until('its end to be told', () => reportOf(executor, vm.id)?.restarts?.count === deaths + 1);
    const starts = driver.calls.filter(({ call }) => call === 'startDomain').length;
    await clock.advance(1_000 * 2 ** deaths - 1);
    expect(driver.calls.filter(({ call }) => call === 'startDomain')).toHaveLength(starts);
    await clock.advance(1);
  }
  await until('ready', () => phaseOf(executor, vm.id) === 'ready');
  expect(causesOf(executor, vm.id)).toEqual(['panic', 'hang', 'killed', 'power-off']);
  expect(reportOf(executor, vm.id)?.restarts).toMatchObject({
    ...{ count: 4, picture: true, consoleTail: 'Kernel panic - not syncing' },
  });
  expect(await readFile(join(folder, 'run', vm.id, 'screen'), 'latin1')).toMatch(/^P6/);
  expect(disks.disks.size).toBe(1);
});

test('an instance that goes down three times before it has lived is reported, with the end of its console, and its domain goes', async () => {
  const clock = new VirtualClock();
  const executor = start({ clock });
  const vm = aVmGoal();
  await mkdir(join(folder, 'run', vm.id), { recursive: true });
  await writeFile(join(folder, 'run', vm.id, 'console.log'), 'Kernel panic - not syncing\n');
  executor.setGoal(aGoal([vm]));
  for (let death = 1; death <= 3; death++) {
    await until('ready', () => phaseOf(executor, vm.id) === 'ready');
    driver.crashGuest(nameOf(vm.id));
    await until('its end to be told', () => reportOf(executor, vm.id)?.restarts?.count === death);
    await clock.advance(5_000);
  }
  await until('failed', () => phaseOf(executor, vm.id) === 'failed');
  expect(reportOf(executor, vm.id)).toMatchObject({
    restarts: { count: 3, picture: false },
    failure: {
      code: 'guest-crash-loop',
      message: 'crm/web-0 went down 3 times in a row before it was ready for 30 s: its kernel panicked',
      remedy: expect.stringContaining('The end of its console'),
      consoleTail: 'Kernel panic - not syncing',
    },
  });
  await clock.advance(600_000);
  expect(driver.calls.filter(({ call }) => call === 'startDomain')).toHaveLength(3);
  expect(driver.domains.size).toBe(0);
});

test('an instance that resets itself three times before it has lived is taken down; a reboot that was asked for is none', async () => {
  const clock = new VirtualClock();
  const executor = start({ clock });
  const vm = aVmGoal();
  // One power cycle is told more than once: the firmware resets again.
  const resetGuest = async () => {
    for (let times = 0; times < 4; times++) driver.resetGuest(nameOf(vm.id));
    await clock.advance(5_000);
  };
  executor.setGoal(aGoal([vm]));
  await until('ready', () => phaseOf(executor, vm.id) === 'ready');
  executor.setGoal(aGoal([{ ...vm, rebootGeneration: 1 }], { revision: 2 }));
  await until('a reboot', () => driver.calls.some(({ call }) => call === 'rebootDomain'));
  await sleep(20);
  await resetGuest();
  expect(reportOf(executor, vm.id)?.restarts).toBeUndefined();
  for (let times = 0; times < 2; times++) await resetGuest();
  expect(causesOf(executor, vm.id)).toEqual(['reset', 'reset']);
  expect(phaseOf(executor, vm.id)).not.toBe('failed');
  await resetGuest();
  await until('failed', () => phaseOf(executor, vm.id) === 'failed');
  expect(causesOf(executor, vm.id)).toEqual(['reset', 'reset', 'reset']);
  expect(driver.domains.size).toBe(0);
});

test('a guest that is not ready for too long is started again; one that is ready again in time is left alone', async () => {
  const clock = new VirtualClock();
  const executor = start({ clock, unreadyLimitMs: 10_000 });
  const vm = aMachineGoal();
  executor.setGoal(aGoal([vm]));
  await until('ready', () => phaseOf(executor, vm.id) === 'ready');
  await clock.advance(60_000);
  guest.tell(vm.id, 'unready');
  await until('unready', () => phaseOf(executor, vm.id) === 'unready');
  await clock.advance(9_000);
  guest.tell(vm.id, 'ready');
  await clock.advance(9_000);
  expect(reportOf(executor, vm.id)?.restarts).toBeUndefined();
  guest.tell(vm.id, 'unready');
  await clock.advance(10_000);
  await until('a restart', () => causesOf(executor, vm.id)?.[0] === 'unready');
  // It had a life of its own: no wait.
  await until('two boots', () => driver.calls.filter(({ call }) => call === 'startDomain').length === 2);
  expect(driver.calls.map(({ call }) => call)).toContain('shutdownDomain');
  await until('ready', () => phaseOf(executor, vm.id) === 'ready');
});

test('a failure of the guest is kept and reported, and not tried again at that incarnation', async () => {
  guest.failures.set(
    'crm/web-0',
    new WeftError('task-failed', 'install.sh ended with 3', { remedy: 'look' }),
  );
  const executor = start();
  executor.setGoal(aGoal([aVmGoal()]));
  await until('failed', () => phaseOf(executor, 'crm/web-0') === 'failed');
  expect(executor.report().vms[0]?.failure).toMatchObject({ code: 'task-failed', remedy: 'look' });
  await sleep(50);
  expect(guest.supervised).toHaveLength(1);
  guest.failures.clear();
  executor.setGoal(aGoal([aVmGoal({ incarnation: 2 })], { revision: 2 }));
  await until('ready', () => phaseOf(executor, 'crm/web-0') === 'ready');
});

test('the hypervisor refusing a domain is that VM’s failure alone', async () => {
  driver.failNext('startDomain');
  const executor = start();
  const other = aVmGoal({ id: 'crm/web-1', index: 1 });
  executor.setGoal(aGoal([aVmGoal(), other]));
  await until('one ready', () => executor.report().vms.some((vm) => vm.phase === 'ready'));
  await until('one failed', () => executor.report().vms.some((vm) => vm.phase === 'failed'));
});

test('a fetch that waits is given up when its incarnation is over', async () => {
  cache.gate = new Promise(() => undefined);
  const executor = start();
  executor.setGoal(aGoal([aVmGoal()]));
  await until('fetching', () => phaseOf(executor, 'crm/web-0') === 'fetching');
  cache.gate = Promise.resolve();
  executor.setGoal(aGoal([aVmGoal({ incarnation: 2 })], { revision: 2 }));
  await until('ready', () => phaseOf(executor, 'crm/web-0') === 'ready');
  expect(guest.supervised).toEqual(['crm/web-0@2']);
});

test('a VM deleted while it is made is told as leaving until nothing of it is left', async () => {
  const executor = start();
  // Its network takes its time; meanwhile the folder and the overlay are there.
  let letGo = () => {};
  const gate = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  const ensure = driver.ensureNetwork.bind(driver);
  driver.ensureNetwork = (spec) => gate.then(() => ensure(spec));
  executor.setGoal(aGoal([aVmGoal()]));
  await until('its overlay', () => disks.disks.size === 1 && folders.ids.size === 1);
  executor.setGoal(aGoal([], { revision: 2, networks: [] }));
  await until('the goal to be looked at', () => executor.report().revisionSeen === 2);
  expect(executor.report().leaving).toEqual(['crm/web-0']);
  letGo();
  await until('nothing to leave', () => executor.report().leaving.length === 0);
  expect([driver.domains.size, disks.disks.size, folders.ids.size]).toEqual([0, 0, 0]);
  await until('the network that came too late to go', () => driver.networks.size === 0);
});

test('a VM deleted before it has any disk leaves no folder', async () => {
  cache.gate = new Promise(() => undefined);
  const executor = start();
  executor.setGoal(aGoal([aVmGoal()]));
  await until('its folder', () => folders.ids.size === 1);
  executor.setGoal(aGoal([], { revision: 2 }));
  await until('no folder', () => folders.ids.size === 0);
  await until('nothing to leave', () => executor.report().leaving.length === 0);
});

test('what another host may need here one day is fetched before, and only once', async () => {
  const executor = start();
  const wanted = { digest: `sha256:${'b'.repeat(64)}`, sizeBytes: 5, kind: 'layer' as const };
  executor.setGoal(aGoal([], { prefetch: [wanted] }));
  executor.setGoal(aGoal([], { revision: 2, prefetch: [wanted] }));
  await until('the blob to be asked for', () => cache.asked.includes(wanted.digest));
  await sleep(20);
  expect(cache.asked).toEqual([wanted.digest]);
});

test('goals of another fleet, an older epoch or an older revision change nothing', async () => {
  const executor = start();
  executor.setGoal(aGoal([aVmGoal()], { epoch: 2, revision: 5 }));
  await until('ready', () => phaseOf(executor, 'crm/web-0') === 'ready');
  executor.setGoal(aGoal([], { epoch: 1, revision: 9 }));
  executor.setGoal(aGoal([], { epoch: 2, revision: 4 }));
  executor.setGoal(aGoal([], { fleet: 'beef0000-0000-4000-8000-000000000001', epoch: 9 }));
  await sleep(50);
  expect(driver.domains.size).toBe(1);
  expect(executor.report().revisionSeen).toBe(5);
});

test('a reboot is asked for once a generation', async () => {
  const executor = start();
  executor.setGoal(aGoal([aVmGoal()]));
  await until('ready', () => phaseOf(executor, 'crm/web-0') === 'ready');
  executor.setGoal(aGoal([aVmGoal({ rebootGeneration: 1 })], { revision: 2 }));
  await until('a reboot', () => driver.calls.some(({ call }) => call === 'rebootDomain'));
  executor.wake();
  await sleep(50);
  expect(driver.calls.filter(({ call }) => call === 'rebootDomain')).toHaveLength(1);
  expect(guest.hints).toContain('crm/web-0');
});

test('libvirt being away costs a pause, not the VM', async () => {
  driver.failNext('listDomains', new WeftError('host-unreachable', 'libvirtd is gone'));
  const executor = start();
  executor.setGoal(aGoal([aVmGoal()]));
  await until('ready', () => phaseOf(executor, 'crm/web-0') === 'ready');
});

test('a newer incarnation than the goal’s is left alone and told', async () => {
  const first = start();
  first.setGoal(aGoal([aVmGoal({ incarnation: 4 })]));
  await until('ready', () => phaseOf(first, 'crm/web-0') === 'ready');
  await first.close();
  const second = start();
  second.setGoal(aGoal([aVmGoal({ incarnation: 1 })], { epoch: 2 }));
  await until('it to be told', () => second.report().vms[0]?.newerFound === 4);
  expect(driver.domains.get(domainName(FLEET, 'crm/web-0'))?.mark?.incarnation).toBe(4);
  second.setGoal(aGoal([aVmGoal({ incarnation: 5 })], { epoch: 2, revision: 2 }));
  await until('the fifth', () => guest.supervised.includes('crm/web-0@5'));
  await until('nothing newer', () => second.report().vms[0]?.newerFound === undefined);
});

test('guests boot in turns: the next one starts when one answers, fails or is taken away', async () => {
  const ids = [0, 1, 2, 3].map((index) => `crm/web-${index}`);
  const vms = ids.map((id, index) => aVmGoal({ id, index }));
  const answers = ids.map((id) => {
    let answer = () => {};
    guest.boots.set(id, new Promise<void>((resolve) => (answer = resolve)));
    return answer;
  });
  guest.failures.set('crm/web-1', new WeftError('guest-unreachable', 'it never answered'));
  // One place to work in: who waits for its turn to boot must not hold it.
  const executor = start({ boots: 1, parallel: 1 });
  executor.setGoal(aGoal(vms.slice(0, 1)));
  await until('the first', () => guest.supervised.length === 1);
  executor.setGoal(aGoal(vms, { revision: 2 }));
  const bootOf = (id: string) =>
    executor
      .report()
      .vms.find((vm) => vm.id === id)
      ?.steps.find((step) => step.name === 'boot');
  await until('three to wait', () =>
    vms.slice(1).every(({ id }) => bootOf(id)?.detail?.includes('its turn')),
  );
  expect(driver.domains.size).toBe(1);
  answers[0]?.();
  await until('the second’s failure', () => phaseOf(executor, 'crm/web-1') === 'failed');
  await until('the third', () => guest.supervised.length === 3);
  await sleep(30);
  expect(driver.domains.size).toBe(3);
  // The third goes while it boots.
  executor.setGoal(
    aGoal(
      [vms[0], vms[1], vms[3]].filter((vm) => vm !== undefined),
      { revision: 3 },
    ),
  );
  await until('the fourth', () => guest.supervised.includes('crm/web-3@1'));
  answers[3]?.();
  await until('ready', () => phaseOf(executor, 'crm/web-3') === 'ready');
  expect(bootOf('crm/web-3')).toMatchObject({ status: 'done' });
  expect(bootOf('crm/web-3')?.parts?.map((part) => part.name)).toContain('turn');
  expect(bootOf('crm/web-0')?.parts?.map((part) => part.name)).not.toContain('turn');
});

test('keys that the controller cannot give now are asked for again, and the VM goes on', async () => {
  let asked = 0;
  const fetchSecrets: ExecutorOptions['link']['fetchSecrets'] = async (id, incarnation, signal) => {
    asked++;
    if (asked === 1) throw new WeftError('host-unreachable', 'the controller is away');
    return fakeLink.fetchSecrets(id, incarnation, signal);
  };
  const executor = start({ link: { ...fakeLink, fetchSecrets } });
  executor.setGoal(aGoal([aVmGoal()]));
  await until('ready', () => phaseOf(executor, 'crm/web-0') === 'ready');
  expect(asked).toBe(2);
  expect(driver.calls.filter(({ call }) => call === 'startDomain')).toHaveLength(1);
});

test('a guest that goes down while the controller is away is started again with the keys that its host had', async () => {
  let isAway = false;
  const fetchSecrets: ExecutorOptions['link']['fetchSecrets'] = async (id, incarnation, signal) => {
    if (isAway) throw new WeftError('host-unreachable', 'the controller is away');
    return fakeLink.fetchSecrets(id, incarnation, signal);
  };
  const executor = start({ link: { ...fakeLink, fetchSecrets } });
  const vm = aMachineGoal();
  executor.setGoal(aGoal([vm]));
  await until('ready', () => phaseOf(executor, vm.id) === 'ready');
  isAway = true;
  driver.powerOffGuest(nameOf(vm.id));
  await until('a second life', () => driver.calls.filter(({ call }) => call === 'startDomain').length === 2);
  await until('ready again', () => phaseOf(executor, vm.id) === 'ready');
});

test('a machine that the guard stopped is off with that cause, waits for the lease, and goes on at once with it', async () => {
  let held = true;
  const stopped = new Set<string>();
  const vm = aMachineGoal();
  const executor = start({
    lease: {
      sharedPools: new Set([vm.pool]),
      isHeld: () => held,
      takeStopped: (domain) => stopped.delete(domain),
    },
  });
  executor.setGoal(aGoal([vm]));
  await until('ready', () => phaseOf(executor, vm.id) === 'ready');
  held = false;
  stopped.add(nameOf(vm.id));
  await driver.removeDomain(nameOf(vm.id));
  await until('stopped', () => phaseOf(executor, vm.id) === 'stopped');
  expect(causesOf(executor, vm.id)).toEqual(['lease']);
  executor.wake();
  await sleep(50);
  expect(driver.calls.filter(({ call }) => call === 'startDomain')).toHaveLength(1);
  held = true;
  executor.wake();
  await until('ready', () => phaseOf(executor, vm.id) === 'ready');
});

test('a lease that ends while a machine is made ready keeps it from being started', async () => {
  let held = true;
  let open = () => {};
  cache.gate = new Promise((resolve) => {
    open = resolve;
  });
  const vm = aMachineGoal();
  const executor = start({
    lease: { sharedPools: new Set([vm.pool]), isHeld: () => held, takeStopped: () => false },
  });
  executor.setGoal(aGoal([vm]));
  await until('the image to be asked for', () => cache.asked.length > 0);
  held = false;
  open();
  await until('its disk', () => disks.disks.size === 1);
  await sleep(50);
  expect(driver.calls.filter(({ call }) => call === 'startDomain')).toEqual([]);
  expect(executor.report().vms[0]?.failure).toBeUndefined();
  // Its retry goes by too, and finds no lease.
  await sleep(1_100);
  held = true;
  executor.wake();
  await until('ready', () => phaseOf(executor, vm.id) === 'ready');
});
