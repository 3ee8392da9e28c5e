import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WeftError } from '../../../agent/kit/errors.ts';
import { createLogger } from '../../../agent/kit/log.ts';
import { VirtualClock } from '../../../agent/kit/virtual-clock.ts';
import type { FenceDevice } from '../../../agent/protocol/index.ts';
import { CephBlocklist, type StorageRunner, unlisted } from '../../../controller/fencing/ceph-blocklist.ts';
import type { FenceRequest } from '../../../controller/fencing/contract.ts';
import type { DeviceRunner } from '../../../controller/fencing/fence-agent.ts';
import { DeviceFencer } from '../../../controller/fencing/fencer.ts';
import type { FencingRecord, HostRecord, StorageFence } from '../../../controller/model/index.ts';
import { MemoryStore } from '../../../controller/store/memory/memory-store.ts';
import { aHost } from '../../support/builders/host.ts';

const DOWN_MS = 50_000;
const CLUSTER = '11111111-1111-4111-8111-111111111111';
const POOL_ID = '22222222-2222-4222-8222-222222222222';
const CEPH: FenceDevice = {
  agent: 'fence_ceph_blocklist',
  options: { addresses: '10.0.0.11' },
  secret: 'ceph',
};
const POWER: FenceDevice = { agent: 'fence_a', options: {} };
const SHAPE = {
  pools: [{ name: 'ceph', kind: 'rbd' as const, sizeMiB: 1, id: POOL_ID, cluster: CLUSTER }],
};

/** Takes a second for everything, and writes down what it was told and what the record said then. */
class FakeStorage implements StorageRunner {
  readonly told: string[] = [];
  readonly seen: (FencingRecord | undefined)[] = [];
  fails = 0;

  async shutOut(_device: FenceDevice, signal: AbortSignal) {
    await this.#take('out', signal);
    return { cluster: CLUSTER, message: 'shut out' };
  }

  async letIn(_device: FenceDevice, signal: AbortSignal): Promise<boolean> {
    await this.#take('in', signal);
    return this.told.includes('out done');
  }

  async status() {
    return { power: 'on' as const, message: 'may use Ceph' };
  }

  async #take(what: string, signal: AbortSignal): Promise<void> {
    this.told.push(what);
    this.seen.push(await record());
    await clock.sleep(1_000, signal);
    if (this.fails-- > 0) throw new WeftError('timeout', 'Ceph did not answer');
    this.told.push(`${what} done`);
  }
}

let clock: VirtualClock;
let store: MemoryStore;
let storage: FakeStorage;
let powered: string[];
let fencer: DeviceFencer;
let runner: DeviceRunner;

beforeEach(async () => {
  clock = new VirtualClock(DOWN_MS);
  store = new MemoryStore();
  storage = new FakeStorage();
  powered = [];
  runner = {
    off: async () => {
      powered.push('off');
      return 'off';
    },
    status: async () => ({ power: 'on' as const, message: 'on' }),
  };
  fencer = aFencer();
  await putHost({});
});
afterEach(() => fencer.close());

const aFencer = () =>
  new DeviceFencer({ store, runner, storage, clock, log: createLogger('fencer', 'silent') });

const putHost = (overrides: Partial<HostRecord>) =>
  store.transact({
    puts: [
      { key: 'hosts/h1', value: aHost('h1', SHAPE, { state: 'down', stateSinceMs: DOWN_MS, ...overrides }) },
    ],
  });
const aRequest = (...devices: FenceDevice[]): FenceRequest => ({ host: 'h1', downSinceMs: DOWN_MS, devices });
const record = async () => (await store.get('fencing/h1'))?.value as FencingRecord | undefined;
const fence = async (): Promise<StorageFence> => {
  const [found] = (await record())?.storage ?? [];
  if (!found) throw new Error('no storage fence is on the record');
  return found;
};
const pass = async (ms: number) => {
  for (let stepMs = 0; stepMs < ms; stepMs += 500) {
    await clock.advance(500);
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
};

describe('a host that is shut out of its storage', () => {
  test('is known to be, perhaps, before the storage is told; and to be, with the pools that this is of, after it', async () => {
    fencer.want([aRequest(CEPH)]);
    await pass(1_500);
    expect(storage.seen[0]?.storage).toEqual([
      { device: CEPH, downSinceMs: DOWN_MS, pools: [POOL_ID], proof: null },
    ]);
    expect(await record()).toMatchObject({
      // It says nothing of the host itself.
      proof: null,
      tried: 1,
      attempts: [{ off: true, device: 'fence_ceph_blocklist (1 of 1)' }],
      storage: [
        {
          pools: [POOL_ID],
          proof: { kind: 'storage-fence', host: 'h1', detail: expect.stringContaining(CLUSTER) },
        },
      ],
    });
  });

  test('is shut out once, and the next device is asked when that was not all', async () => {
    fencer.want([aRequest(CEPH, POWER)]);
    await pass(1_500);
    expect(powered).toEqual([]);
    await pass(2_000);
    expect(powered).toEqual(['off']);
    expect(await record()).toMatchObject({
      proof: { kind: 'fence-device' },
      storage: [{ pools: [POOL_ID] }],
    });
    await pass(60_000);
    expect(storage.told).toEqual(['out', 'out done']);
  });

  test('no power is cut when it was all', async () => {
    fencer.want([aRequest(CEPH, POWER)]);
    await pass(1_500);
    fencer.want([]);
    await pass(60_000);
    expect(powered).toEqual([]);
  });

  test('is tried again when the storage does not answer, each time told', async () => {
    storage.fails = 1;
    fencer.want([aRequest(CEPH)]);
    await pass(10_000);
    expect((await record())?.attempts).toMatchObject([
      { off: false, message: 'Ceph did not answer' },
      { off: true },
    ]);
  });

  test('is left alone when it is back before its turn', async () => {
    await putHost({ state: 'up', stateSinceMs: DOWN_MS + 1 });
    fencer.want([aRequest(CEPH)]);
    await pass(5_000);
    expect(storage.told).toEqual([]);
    expect(await record()).toBeUndefined();
  });
});

describe('a host that is let in again', () => {
  beforeEach(async () => {
    fencer.want([aRequest(CEPH)]);
    await pass(1_500);
    await putHost({ state: 'up', stateSinceMs: DOWN_MS + 1 });
  });

  test('is so on the record when it is', async () => {
    const lift = { host: 'h1', fence: await fence() };
    fencer.want([], [lift]);
    fencer.want([], [lift]);
    await pass(2_000);
    expect(storage.told.slice(2)).toEqual(['in', 'in done']);
    expect(await fence()).toMatchObject({ lifted: true });
  });

  test('is tried again until the storage does it', async () => {
    storage.fails = 2;
    fencer.want([], [{ host: 'h1', fence: await fence() }]);
    await pass(15_000);
    expect(storage.told.filter((each) => each === 'in')).toHaveLength(3);
    expect(await fence()).toMatchObject({ lifted: true });
  });

  test('is known never to have been out where that is so', async () => {
    await fencer.close();
    await putHost({});
    storage = new FakeStorage();
    storage.fails = 1;
    fencer = aFencer();
    await store.transact({ deletes: ['fencing/h1'] });
    fencer.want([aRequest(CEPH)]);
    await pass(1_500);
    fencer.want([], [{ host: 'h1', fence: await fence() }]);
    await pass(3_000);
    expect(await fence()).toMatchObject({ proof: null, lifted: true, wasNever: true });
  });

  test('stays out when it went down anew, and was shut out anew, before its turn', async () => {
    const lift = { host: 'h1', fence: await fence() };
    await putHost({ state: 'down', stateSinceMs: DOWN_MS + 9 });
    fencer.want([{ ...aRequest(CEPH), downSinceMs: DOWN_MS + 9 }], [lift]);
    await pass(10_000);
    // Whichever came first, the last word is that it is out.
    expect(storage.told.at(-1)).toBe('out done');
    expect((await fence()).downSinceMs).toBe(DOWN_MS + 9);
    expect((await fence()).lifted).toBeUndefined();
  });
});

describe('Ceph’s blocklist', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'weft-storage-fence-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));
  const never = new AbortController().signal;

  test('counts whole addresses only: a client’s own entry shuts out no host', () => {
    const list = '[{"addr":"10.0.0.11:0/0","until":"x"},{"addr":"10.0.0.12:0/123","until":"x"}][]';
    expect(unlisted(list, ['10.0.0.11', '10.0.0.12', '0.0.0.11'])).toEqual(['10.0.0.12', '0.0.0.11']);
    const six = '[{"addr":"[fd00::11]:0/0","until":"x"},{"addr":"[fd00::12]:0/77","until":"x"}]';
    expect(unlisted(six, ['fd00::11', 'fd00::12', '00::11'])).toEqual(['fd00::12', '00::11']);
  });

  test('takes no file’s name from a host', async () => {
    const device = { ...CEPH, options: { addresses: '10.0.0.11', keyring: '/etc/shadow' } };
    await expect(new CephBlocklist(folder).shutOut(device, never)).rejects.toThrow(
      /keyring .* not taken from a host/,
    );
  });

  test('refuses a keyring that others can read, and addresses that are none', async () => {
    const keyring = join(folder, 'keyring');
    await writeFile(keyring, 'x', { mode: 0o644 });
    await writeFile(join(folder, 'ceph'), `\nkeyring=${keyring}\n`, { mode: 0o600 });
    await expect(new CephBlocklist(folder).shutOut(CEPH, never)).rejects.toThrow(
      /can be read or written by others/,
    );
    const device = { ...CEPH, options: { addresses: 'h1' } };
    await expect(new CephBlocklist(folder).shutOut(device, never)).rejects.toThrow(/needs addresses/);
  });
});
