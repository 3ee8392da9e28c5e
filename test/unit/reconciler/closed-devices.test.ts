import { afterEach, beforeEach, expect, test } from 'vitest';
import { createLogger } from '../../../agent/kit/log.ts';
import { VirtualClock } from '../../../agent/kit/virtual-clock.ts';
import type { Catalogue } from '../../../controller/catalogue/contract.ts';
import type { Fleet } from '../../../controller/fleet/contract.ts';
import type { SecretsStore } from '../../../controller/fleet/secrets-contract.ts';
import { EventLog, Reconciler } from '../../../controller/reconciler/index.ts';
import { MemoryStore } from '../../../controller/store/memory/memory-store.ts';
import { FLEET } from '../../support/builders/goal.ts';
import { aHello, aHost } from '../../support/builders/host.ts';
import { FakeFencer } from '../../support/fakes/fake-fencer.ts';

let clock: VirtualClock;
let reconciler: Reconciler;
/** Host and what is out of reach by each goal that it was sent, since this was emptied. */
let sent: string[];

async function run(): Promise<void> {
  await clock.advance(250);
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

beforeEach(async () => {
  clock = new VirtualClock(1_000_000);
  sent = [];
  const names = ['h1', 'h2'];
  const shape = (name: string) => ({ edgeAt: `192.0.2.${name.slice(1)}` });
  const store = new MemoryStore();
  await store.transact({
    puts: names.map((name, index) => ({
      key: `hosts/${name}`,
      value: aHost(name, shape(name), { number: index + 2 }),
    })),
  });
  const fleet = {
    hosts: () =>
      names.map((name) => ({
        ...{ name, connected: true, lastHeardMs: clock.now(), endedBecause: null, report: null },
        hello: aHello(name, shape(name)),
      })),
    onEvent: () => () => undefined,
    sendGoal: (host: string, { backbone }: Parameters<Fleet['sendGoal']>[1]) =>
      sent.push(`${host} ${backbone?.outOfReach}`),
  } as unknown as Fleet;
  const events = new EventLog();
  await events.open(store);
  reconciler = new Reconciler({
    ...{ store, fleet, events, clock, fencer: new FakeFencer() },
    catalogue: { resolve: () => Promise.reject(new Error('is not asked')) } as unknown as Catalogue,
    fleetRecord: { uuid: FLEET, epoch: 1, range: '10.128.0.0/10', devices: ['10.0.0.11'] },
    secrets: { remove: async () => undefined } as unknown as SecretsStore,
    log: createLogger('loop', 'silent'),
  });
  await reconciler.start();
  await run();
});

afterEach(() => reconciler.stop());

test('another device is told to every host, and the same ones to none', async () => {
  expect(sent.sort()).toEqual(['h1 10.0.0.11', 'h2 10.0.0.11']);
  sent = [];
  reconciler.closeDevices(['10.0.0.11']);
  await run();
  expect(sent).toEqual([]);
  reconciler.closeDevices(['10.0.0.12', '10.0.0.13']);
  await run();
  expect(sent.sort()).toEqual(['h1 10.0.0.12,10.0.0.13', 'h2 10.0.0.12,10.0.0.13']);
  expect(reconciler.fleetRecord.devices).toEqual(['10.0.0.12', '10.0.0.13']);
});
