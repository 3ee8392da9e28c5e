import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WeftError } from '../../../agent/kit/errors.ts';
import { createLogger } from '../../../agent/kit/log.ts';
import { VirtualClock } from '../../../agent/kit/virtual-clock.ts';
import type { FenceDevice } from '../../../agent/protocol/index.ts';
import type { FenceRequest } from '../../../controller/fencing/contract.ts';
import type { DeviceRunner } from '../../../controller/fencing/fence-agent.ts';
import { DeviceFencer } from '../../../controller/fencing/fencer.ts';
import type { FencingRecord, HostRecord } from '../../../controller/model/index.ts';
import { MemoryStore } from '../../../controller/store/memory/memory-store.ts';
import { aHost } from '../../support/builders/host.ts';
import { waitFor } from '../../support/wait-for.ts';

const DOWN_MS = 50_000;
const aDevice = (agent: string): FenceDevice => ({ agent, options: {} });

/** Devices that take a second, and say off, on, or fail, as they are told. */
class FakeRunner implements DeviceRunner {
  readonly asked: string[] = [];
  readonly answers = new Map<string, (attempt: number) => string>();
  aborted = 0;
  readonly #clock: VirtualClock;

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  async off({ agent }: FenceDevice, signal: AbortSignal): Promise<string> {
    this.asked.push(`${this.#clock.now() - DOWN_MS} ${agent}`);
    const attempt = this.asked.filter((each) => each.endsWith(` ${agent}`)).length;
    await this.#clock.sleep(1_000, signal).catch((reason: unknown) => {
      this.aborted++;
      throw reason;
    });
    return (this.answers.get(agent) ?? dead)(attempt);
  }

  async status({ agent }: FenceDevice) {
    if (agent === 'fence_c') throw new WeftError('set-up', 'no secret', { remedy: 'Write one.' });
    return { power: agent === 'fence_a' ? ('on' as const) : ('off' as const), message: 'Status' };
  }
}

const dead = (): string => {
  throw new WeftError('command-failed', 'Connection timed out');
};

let clock: VirtualClock;
let store: MemoryStore;
let runner: FakeRunner;
let fencer: DeviceFencer;

beforeEach(async () => {
  clock = new VirtualClock(DOWN_MS);
  store = new MemoryStore();
  runner = new FakeRunner(clock);
  fencer = aFencer();
  await putHost({});
});
afterEach(() => fencer.close());

const aFencer = () => new DeviceFencer({ store, runner, clock, log: createLogger('fencer', 'silent') });
const putHost = (overrides: Partial<HostRecord>) =>
  store.transact({
    puts: [
      { key: 'hosts/h1', value: aHost('h1', {}, { state: 'down', stateSinceMs: DOWN_MS, ...overrides }) },
    ],
  });
const aRequest = (agents: readonly string[], overrides: Partial<FenceRequest> = {}): FenceRequest => ({
  host: 'h1',
  downSinceMs: DOWN_MS,
  devices: agents.map(aDevice),
  ...overrides,
});
const record = async () => (await store.get('fencing/h1'))?.value as FencingRecord | undefined;
/** In small steps, and with time in between for what only promises do. */
const pass = async (ms: number) => {
  for (let stepMs = 0; stepMs < ms; stepMs += 500) {
    await clock.advance(500);
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
};

describe('the order of the devices', () => {
  test('the first that says off gives the proof, and the next is not asked', async () => {
    runner.answers.set('fence_a', () => 'Success: Powered OFF');
    fencer.want([aRequest(['fence_a', 'fence_b'])]);
    await pass(2_000);
    expect(runner.asked).toEqual(['0 fence_a']);
    expect(await record()).toEqual({
      host: 'h1',
      downSinceMs: DOWN_MS,
      tried: 1,
      attempts: [
        { atMs: DOWN_MS, ms: 1_000, device: 'fence_a (1 of 2)', off: true, message: 'Success: Powered OFF' },
      ],
      proof: {
        kind: 'fence-device',
        host: 'h1',
        atMs: DOWN_MS + 1_000,
        detail: 'fence_a (1 of 2) says that it is off',
      },
    });
  });

  test('the next comes at once when one fails', async () => {
    runner.answers.set('fence_b', () => 'Already OFF');
    fencer.want([aRequest(['fence_a', 'fence_b'])]);
    await pass(3_000);
    expect(runner.asked).toEqual(['0 fence_a', '1000 fence_b']);
    const { attempts, proof } = (await record()) as FencingRecord;
    expect(attempts.map(({ off, message }) => [off, message])).toEqual([
      [false, 'Connection timed out'],
      [true, 'Already OFF'],
    ]);
    expect(proof?.detail).toBe('fence_b (2 of 2) says that it is off');
  });

  test('two rounds fail, the third succeeds', async () => {
    runner.answers.set('fence_a', (attempt) => (attempt < 3 ? dead() : 'off'));
    fencer.want([aRequest(['fence_a'])]);
    await pass(10_000);
    expect(runner.asked).toEqual(['0 fence_a', '2000 fence_a', '5000 fence_a']);
    expect(await record()).toMatchObject({ tried: 3, proof: { kind: 'fence-device' } });
  });

  test('after all have failed they are tried again, later and later, at least every 30 s', async () => {
    fencer.want([aRequest(['fence_a'])]);
    await pass(130_000);
    const times = runner.asked.map((each) => Number(each.split(' ')[0]) / 1000);
    // Each takes a second; waits of 1, 2, 4, 8, 16, 30, 30 s.
    expect(times).toEqual([0, 2, 5, 10, 19, 36, 67, 98, 129]);
    expect((await record())?.proof).toBeNull();
  });
});

describe('what is wanted', () => {
  test('the same said again and again is fenced once', async () => {
    runner.answers.set('fence_a', () => 'off');
    for (let time = 0; time < 5; time++) {
      fencer.want([aRequest(['fence_a']), aRequest(['fence_a'])]);
      await pass(1_000);
    }
    expect(runner.asked).toHaveLength(1);
  });

  test('what is not named any more is given up in the middle of an attempt, and nothing is written', async () => {
    runner.answers.set('fence_a', () => 'off');
    fencer.want([aRequest(['fence_a'])]);
    await pass(500);
    fencer.want([]);
    await pass(60_000);
    expect(runner.asked).toHaveLength(1);
    expect(runner.aborted).toBe(1);
    expect(await record()).toBeUndefined();
  });

  test('another death of the same host begins anew', async () => {
    fencer.want([aRequest(['fence_a'])]);
    await pass(1_500);
    await putHost({ stateSinceMs: DOWN_MS + 1_500 });
    runner.answers.set('fence_a', () => 'off');
    fencer.want([aRequest(['fence_a'], { downSinceMs: DOWN_MS + 1_500 })]);
    await pass(2_000);
    expect(await record()).toMatchObject({
      downSinceMs: DOWN_MS + 1_500,
      tried: 1,
      attempts: [{ off: true }],
    });
  });

  test('devices that change while it goes on are those of the next round', async () => {
    fencer.want([aRequest(['fence_a'])]);
    await pass(500);
    runner.answers.set('fence_b', () => 'off');
    fencer.want([aRequest(['fence_b'])]);
    await pass(4_000);
    expect(runner.asked).toEqual(['0 fence_a', '2000 fence_b']);
  });

  test('a proof that was lost is looked for again while the host stays wanted', async () => {
    runner.answers.set('fence_a', () => 'off');
    fencer.want([aRequest(['fence_a'])]);
    await pass(2_000);
    await store.transact({ deletes: ['fencing/h1'] });
    await pass(32_000);
    expect(runner.asked).toEqual(['0 fence_a', '31000 fence_a']);
    expect((await record())?.proof).not.toBeNull();
  });
});

describe('no proof is written', () => {
  test.each([
    ['came back', { state: 'up' as const }],
    ['is suspect', { state: 'suspect' as const }],
    ['went down another time', { stateSinceMs: DOWN_MS + 7 }],
    ['is fenced already', { state: 'fenced' as const }],
  ])('of a host that meanwhile %s', async (_, overrides) => {
    runner.answers.set('fence_a', () => 'off');
    fencer.want([aRequest(['fence_a'])]);
    await pass(500);
    await putHost(overrides);
    await pass(3_000);
    expect(await record()).toBeUndefined();
  });

  test('of a host that comes back between the look and the write', async () => {
    runner.answers.set('fence_a', () => 'off');
    const transact = store.transact.bind(store);
    let raced = 0;
    store.transact = async (transaction) => {
      const writes = transaction.puts?.some(({ key }) => key === 'fencing/h1');
      if (writes && raced++ === 0)
        await transact({
          puts: [{ key: 'hosts/h1', value: aHost('h1', {}, { stateSinceMs: DOWN_MS + 9 }) }],
        });
      return transact(transaction);
    };
    fencer.want([aRequest(['fence_a'])]);
    await pass(3_000);
    expect(raced).toBe(1);
    expect(await record()).toBeUndefined();
  });

  test('over one that an operator has signed meanwhile', async () => {
    runner.answers.set('fence_a', () => 'off');
    fencer.want([aRequest(['fence_a'])]);
    await pass(500);
    const proof = { kind: 'operator', host: 'h1', atMs: DOWN_MS, detail: 'ann signed that it is dead' };
    const signed = { host: 'h1', downSinceMs: DOWN_MS, attempts: [], tried: 0, proof };
    await store.transact({ puts: [{ key: 'fencing/h1', value: signed }] });
    await pass(2_000);
    expect(await record()).toMatchObject({ tried: 1, proof });
  });
});

test('the last 20 attempts are kept, and all are counted', async () => {
  fencer.want([aRequest(['fence_a', 'fence_b', 'fence_d'])]);
  await waitFor(
    '25 attempts',
    async () => {
      await pass(5_000);
      return (await record())?.tried ?? 0;
    },
    (tried) => tried >= 25,
    30_000,
    0,
  );
  const { attempts, tried } = (await record()) as FencingRecord;
  expect(attempts).toHaveLength(20);
  expect(attempts.at(-1)?.atMs).toBe(DOWN_MS + Number(runner.asked[tried - 1]?.split(' ')[0]));
  expect(attempts[0]?.atMs).toBe(DOWN_MS + Number(runner.asked[tried - 20]?.split(' ')[0]));
});

test('a new controller goes on with the count of the one before', async () => {
  fencer.want([aRequest(['fence_a'])]);
  await pass(1_500);
  await fencer.close();
  fencer = aFencer();
  runner.answers.set('fence_a', () => 'off');
  fencer.want([aRequest(['fence_a'])]);
  await pass(2_000);
  expect(await record()).toMatchObject({ tried: 2, attempts: [{ off: false }, { off: true }] });
});

test('a store that fails is no end: the device is asked again, and the proof is written', async () => {
  runner.answers.set('fence_a', () => 'off');
  const transact = store.transact.bind(store);
  let failures = 2;
  store.transact = async (transaction) => {
    if (failures-- > 0) throw new Error('the disk is full');
    return transact(transaction);
  };
  fencer.want([aRequest(['fence_a'])]);
  await pass(8_000);
  expect(runner.asked).toHaveLength(3);
  expect((await record())?.proof).not.toBeNull();
});

test('closed, it ends the attempt under way and begins nothing more', async () => {
  fencer.want([aRequest(['fence_a'])]);
  await pass(500);
  await fencer.close();
  fencer.want([aRequest(['fence_a'])]);
  await pass(5_000);
  expect(runner.asked).toHaveLength(1);
  expect(runner.aborted).toBe(1);
});

test('a test asks all devices and tells what each said', async () => {
  const answers = await fencer.test(['fence_a', 'fence_b', 'fence_c'].map(aDevice));
  expect(answers).toEqual([
    { device: 'fence_a (1 of 3)', ok: true, power: 'on', message: 'Status', ms: 0 },
    { device: 'fence_b (2 of 3)', ok: true, power: 'off', message: 'Status', ms: 0 },
    { device: 'fence_c (3 of 3)', ok: false, power: null, message: 'no secret. Write one.', ms: 0 },
  ]);
  expect(await store.revision()).toBe(1);
});
