import { beforeEach, expect, test } from 'vitest';
import { createLogger } from '../../../agent/kit/log.ts';
import { VirtualClock } from '../../../agent/kit/virtual-clock.ts';
import type { HostOffer } from '../../../agent/protocol/index.ts';
import type { Catalogue } from '../../../controller/catalogue/contract.ts';
import { DeviceFencer } from '../../../controller/fencing/fencer.ts';
import type { Fleet } from '../../../controller/fleet/contract.ts';
import type { SecretsStore } from '../../../controller/fleet/secrets-contract.ts';
import type { EventRecord, HostRecord, VmRecord } from '../../../controller/model/index.ts';
import { createOperations } from '../../../controller/operations/index.ts';
import { machineDefinition } from '../../../controller/reconciler/definition.ts';
import { EventLog, Reconciler } from '../../../controller/reconciler/index.ts';
import { MemoryStore } from '../../../controller/store/memory/memory-store.ts';
import { aMachine, anApplication } from '../../support/builders/application.ts';
import { aVmGoal, FLEET } from '../../support/builders/goal.ts';
import { aHello, aHost } from '../../support/builders/host.ts';
import { aVm } from '../../support/builders/vm.ts';
import { FakeFencer } from '../../support/fakes/fake-fencer.ts';

const POOL_ID = '6a7c1d0e-3b52-4c1e-9a51-0c7f5e1d2b3a';
const SHAPE = {
  pools: [{ name: 'nfs', kind: 'shared', sizeMiB: 100_000, id: POOL_ID }] satisfies HostOffer['pools'],
  fence: [{ agent: 'fence_a', options: {} }],
};
const MACHINE = aMachine({ pool: 'nfs' });

let clock: VirtualClock;
let store: MemoryStore;
let isHeard: boolean;
let asked: number[];

beforeEach(() => {
  clock = new VirtualClock(1_000_000);
  store = new MemoryStore();
  isHeard = true;
  asked = [];
});

/** h2 and h3 are heard all the time, h1 as long as it is said to be. */
const fleet = {
  hosts: () =>
    ['h1', 'h2', 'h3'].map((name) => ({
      name,
      connected: name !== 'h1' || isHeard,
      lastHeardMs: name !== 'h1' || isHeard ? clock.now() : 1_000_000,
      endedBecause: null,
      hello: aHello(name, SHAPE),
      report: null,
    })),
  onEvent: () => () => undefined,
  sendGoal: () => undefined,
  forget: async () => undefined,
} as unknown as Fleet;
const catalogue = { resolve: async () => ({ goal: aVmGoal().image }) } as unknown as Catalogue;
const log = createLogger('loop', 'silent');

async function start(fencer: DeviceFencer | FakeFencer) {
  const hosts = ['h1', 'h2', 'h3'].map((name) => ({ key: `hosts/${name}`, value: aHost(name, SHAPE) }));
  const machine = aVm({
    ...{ id: 'crm/db', role: null, index: null, kind: 'machine', pool: 'nfs', poolId: POOL_ID },
    ...{ networkId: 'crm/machines', definition: machineDefinition(MACHINE) },
  });
  const { cpus, memoryMiB, diskMiB } = machine.size;
  await store.transact({
    puts: [
      ...hosts,
      { key: 'apps/crm', value: anApplication('crm', { roles: {}, machines: { db: MACHINE } }) },
      { key: 'vms/crm/db', value: machine },
      { key: 'claims/h1', value: { vms: { 'crm/db@1': { cpus, memoryMiB, diskMiB, pool: 'nfs' } } } },
    ],
  });
  const events = new EventLog();
  await events.open(store);
  const parts = { store, fleet, catalogue, clock, fencer };
  const reconciler = new Reconciler({
    ...parts,
    fleetRecord: { uuid: FLEET, epoch: 1, range: '10.128.0.0/10' },
    secrets: { remove: async () => undefined } as unknown as SecretsStore,
    events,
    log,
  });
  await reconciler.start();
  await run(500);
  return { reconciler, operations: createOperations(parts) };
}

async function run(ms: number): Promise<void> {
  for (let stepMs = 0; stepMs < ms; stepMs += 250) {
    await clock.advance(250);
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
}

const machine = async () => (await store.get('vms/crm/db'))?.value as VmRecord;
const host = async () => (await store.get('hosts/h1'))?.value as HostRecord;
const kinds = async () =>
  (await store.list('events/')).entries.map(({ value }) => (value as EventRecord).kind);
const aDeviceFencer = (off: (attempt: number) => boolean) =>
  new DeviceFencer({
    store,
    clock,
    log,
    runner: {
      off: async () => {
        asked.push(clock.now() - 1_000_000);
        if (!off(asked.length)) throw new Error('Connection timed out');
        return 'Success: Powered OFF';
      },
      status: () => Promise.reject(new Error('is not asked')),
    },
  });

test('silence, down, fenced, restarted elsewhere, once: by the proof of a device', async () => {
  const fencer = aDeviceFencer((attempt) => attempt === 2);
  const { reconciler } = await start(fencer);
  expect(await machine()).toMatchObject({ host: 'h1', state: 'ready', incarnation: 1 });
  isHeard = false;
  await run(4_000);
  expect(await host()).toMatchObject({ state: 'down', fencing: { attempts: 1 } });
  expect(await machine()).toMatchObject({ host: 'h1', state: 'unknown', incarnation: 1 });
  await run(3_000);
  const proof = { kind: 'fence-device', host: 'h1', detail: 'fence_a (1 of 1) says that it is off' };
  expect(await host()).toMatchObject({ state: 'fenced', proof, fencing: { attempts: 2 } });
  expect(await machine()).toMatchObject({ incarnation: 2, proof });
  expect((await machine()).host).not.toBe('h1');
  await run(60_000);
  expect(asked).toHaveLength(2);
  const told = await kinds();
  for (const kind of ['host-suspect', 'host-down', 'fence-failed', 'host-fenced', 'machine-restarted'])
    expect(
      told.filter((each) => each === kind),
      kind,
    ).toHaveLength(1);
  await reconciler.stop();
  await fencer.close();
});

test('devices that fail: nothing restarts, until an operator signs', async () => {
  const fencer = aDeviceFencer(() => false);
  const { reconciler, operations } = await start(fencer);
  isHeard = false;
  await run(120_000);
  expect(asked.length).toBeGreaterThan(5);
  expect(await machine()).toMatchObject({ host: 'h1', state: 'unknown', incarnation: 1 });
  await operations.confirmDead('h1', 'ann');
  await run(1_000);
  expect(await host()).toMatchObject({ state: 'fenced', evidence: 'ann signed that it is dead' });
  expect(await machine()).toMatchObject({ incarnation: 2, proof: { kind: 'operator' } });
  const tried = asked.length;
  await run(120_000);
  expect(asked).toHaveLength(tried);
  await reconciler.stop();
  await fencer.close();
});

test('a host that is heard again is fenced no further', async () => {
  const fencer = aDeviceFencer(() => false);
  const { reconciler } = await start(fencer);
  isHeard = false;
  await run(20_000);
  isHeard = true;
  reconciler.wake();
  await run(1_000);
  expect(await host()).toMatchObject({ state: 'up', fencing: null, proof: null });
  const tried = asked.length;
  await run(60_000);
  expect(asked).toHaveLength(tried);
  expect(await store.get('fencing/h1')).toBeNull();
  await reconciler.stop();
  await fencer.close();
});

test('no power is cut on a death that the store does not have', async () => {
  const fencer = new FakeFencer();
  const { reconciler } = await start(fencer);
  const wantedEarly: boolean[] = [];
  const transact = store.transact.bind(store);
  let races = 0;
  store.transact = async (transaction) => {
    const declaresDown = transaction.puts?.some(
      ({ key, value }) => key === 'hosts/h1' && (value as HostRecord).state === 'down',
    );
    if (!declaresDown) return transact(transaction);
    wantedEarly.push(fencer.wanted.length > 0);
    if (races++ < 3) {
      // Somebody else is faster: the pass has planned a death that is not written.
      await transact({
        puts: [{ key: 'hosts/h1', value: { ...(await host()), draining: races % 2 === 1 } }],
      });
    }
    return transact(transaction);
  };
  isHeard = false;
  await run(6_000);
  expect(races).toBe(4);
  expect(wantedEarly).toEqual([false, false, false, false]);
  expect(fencer.wanted.map(({ host: name }) => name)).toEqual(['h1']);
  expect(fencer.wanted[0]?.downSinceMs).toBe((await host()).stateSinceMs);
  await reconciler.stop();
});
