import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLogger } from '../../../agent/kit/log.ts';
import { VirtualClock } from '../../../agent/kit/virtual-clock.ts';
import type { Goal, Hello, Report } from '../../../agent/protocol/index.ts';
import type { Catalogue } from '../../../controller/catalogue/contract.ts';
import type { Fleet, FleetEvent } from '../../../controller/fleet/contract.ts';
import { openFleet, raiseEpoch } from '../../../controller/fleet/fleet-record.ts';
import { RevisionMark } from '../../../controller/fleet/revision-mark.ts';
import type { SecretsStore } from '../../../controller/fleet/secrets-contract.ts';
import type { FleetRecord } from '../../../controller/model/index.ts';
import { GoalDispatch } from '../../../controller/reconciler/goal-dispatch.ts';
import { EventLog, Reconciler } from '../../../controller/reconciler/index.ts';
import { knowsMore } from '../../../controller/reconciler/store-age.ts';
import { WorldCache } from '../../../controller/reconciler/world-cache.ts';
import { MemoryStore } from '../../../controller/store/memory/memory-store.ts';
import { FLEET } from '../../support/builders/goal.ts';
import { aHello, aHost } from '../../support/builders/host.ts';
import { FakeFencer } from '../../support/fakes/fake-fencer.ts';
import { waitFor } from '../../support/wait-for.ts';

const log = createLogger('older-store', 'silent');
const RECORD: FleetRecord = { uuid: FLEET, epoch: 1, range: '10.128.0.0/10' };
let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-older-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** As it was after so many writes. */
async function storeAt(revision: number, fleet: FleetRecord): Promise<MemoryStore> {
  const store = new MemoryStore();
  for (let count = 1; count < revision; count++) await store.transact({ puts: [{ key: 'x', value: count }] });
  await store.transact({ puts: [{ key: 'fleet', value: fleet }] });
  return store;
}

describe('a store that is restored from an older copy', () => {
  test('is noticed by the revisions that hosts were told of, and begins a new epoch, once', async () => {
    const [file, markFile] = [join(folder, 'fleet.json'), join(folder, 'revision')];
    const store = await storeAt(400, RECORD);
    const mark = new RevisionMark(markFile, log);
    await openFleet(store, file, null, [], mark);
    for (let revision = 1; revision <= 400; revision++) mark.cover(revision);
    const epochOf = async (of: MemoryStore) =>
      (await openFleet(of, file, null, [], new RevisionMark(markFile, log))).epoch;
    expect(await epochOf(store)).toBe(1);
    const older = await storeAt(200, RECORD);
    expect(await epochOf(older)).toBe(2);
    expect((await older.get('fleet'))?.value).toMatchObject({ epoch: 2 });
    expect(await epochOf(older)).toBe(2);
  });

  test('is noticed by what a host says that it has obeyed', () => {
    const hello = { fleet: FLEET, epoch: 1, revision: 500 };
    expect(knowsMore(hello, RECORD, 499)).toBe(true);
    expect(knowsMore(hello, RECORD, 500)).toBe(false);
    expect(knowsMore({ ...hello, epoch: 2, revision: 1 }, RECORD, 500)).toBe(true);
    expect(knowsMore({ fleet: FLEET, epoch: 1 }, RECORD, 0)).toBe(false);
    expect(knowsMore({ ...hello, fleet: 'f2000000-0000-4000-8000-000000000000' }, RECORD, 0)).toBe(false);
  });

  test('takes no goal for obeyed that a host has of the store before', () => {
    const cache = new WorldCache();
    cache.load([{ key: 'hosts/h1', value: aHost('h1'), revision: 300 }], 300);
    const goals: Goal[] = [];
    const covered: number[] = [];
    const fleet = { sendGoal: (_host: string, goal: Goal) => void goals.push(goal) };
    const dispatch = new GoalDispatch(fleet, RECORD, cache, (revision) => covered.push(revision));
    dispatch.concern(['h1']);
    dispatch.send(1);
    expect([goals.map(({ revision }) => revision), covered]).toEqual([[300], [300]]);
    const says = (revisionSeen: number, epochSeen?: number) =>
      dispatch.acknowledged({ name: 'h1', report: { revisionSeen, epochSeen } as Report });
    expect(says(300, 1)).toEqual(new Set());
    expect(says(300)).toEqual(new Set());
    expect(says(500, 1)).toBeNull();
    expect(says(299, 1)).toBeNull();
    expect(says(300, 2)).toBeNull();
  });

  test('tells its hosts anew, under a new epoch', async () => {
    const file = join(folder, 'running.json');
    const store = await storeAt(10, RECORD);
    await store.transact({ puts: [{ key: 'hosts/h1', value: aHost('h1') }] });
    const goals: Goal[] = [];
    let tell: (event: FleetEvent) => void = () => undefined;
    const fleet = {
      hosts: () => [],
      onEvent: (listener: typeof tell) => {
        tell = listener;
        return () => undefined;
      },
      sendGoal: (_host: string, goal: Goal) => void goals.push(goal),
    } as unknown as Fleet;
    const events = new EventLog();
    await events.open(store);
    const reconciler = new Reconciler({
      ...{ store, fleet, events, log, fleetRecord: RECORD, fencer: new FakeFencer() },
      clock: new VirtualClock(1_000),
      catalogue: {} as Catalogue,
      secrets: {} as SecretsStore,
      raiseEpoch: (above) => raiseEpoch(store, file, above),
    });
    await reconciler.start();
    const epochTold = (epoch: number) =>
      waitFor(
        `a goal of epoch ${epoch}`,
        async () => goals.at(-1)?.epoch,
        (told) => told === epoch,
        20_000,
      );
    await epochTold(1);
    const hello: Hello = { ...aHello('h1'), fleet: FLEET, epoch: 1, revision: 9_000 };
    tell({ type: 'connected', host: 'h1', hello });
    await epochTold(2);
    expect((await openFleet(store, file)).epoch).toBe(2);
    await reconciler.stop();
  });
});
